import { type Meaning, rowOf } from "./view.js";

export const through: Meaning<"through"> = (spec, { x, gram, length, out }) => {
  const { heads, group, repeat, share, capacity, size } = spec;
  for (let h = 0; h < heads; h++) {
    const matrix = Array.from({ length: size }, (_, i) => rowOf(gram, (h % share) * size + i, size));
    const held = Math.min(length.get(Math.floor(h / group)), capacity);
    for (let j = 0; j < capacity; j++) {
      const row = j < held ? rowOf(x, Math.floor(h / repeat) * capacity + j, size) : [];
      const square = row.reduce((sum, a, i) => sum + a * row.reduce((dot, b, k) => dot + b * matrix[i]![k]!, 0), 0);
      out.set(h * capacity + j, Math.sqrt(Math.max(0, square)));
    }
  }
};
