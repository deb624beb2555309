import type { Meaning } from "./view.js";

export const pool: Meaning<"pool"> = ({ heads, capacity, size, kernel, share, kind }, { x, length, out }) => {
  const reach = (kernel - 1) / 2;
  for (let h = 0; h < heads; h++) {
    const end = Math.min(length.get(Math.floor(h / share)), capacity);
    for (let j = 0; j < capacity; j++) {
      const [first, last] = [Math.max(0, j - reach), Math.min(end, j + reach + 1)];
      for (let i = 0; i < size; i++) {
        const near: number[] = [];
        for (let n = first; n < last; n++) near.push(x.get((h * capacity + n) * size + i));
        const pooled = kind === "avg" ? near.reduce((a, b) => a + b, 0) / kernel : Math.max(...near);
        out.set((h * capacity + j) * size + i, j < end ? pooled : 0);
      }
    }
  }
};
