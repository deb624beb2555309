import type { Meaning } from "./view.js";

export const pool: Meaning<"pool"> = ({ heads, capacity, kernel, share, kind }, { x, length, out }) => {
  const reach = (kernel - 1) / 2;
  for (let h = 0; h < heads; h++) {
    const end = Math.min(length.get(Math.floor(h / share)), capacity);
    for (let j = 0; j < capacity; j++) {
      const near: number[] = [];
      for (let n = Math.max(0, j - reach); n < Math.min(end, j + reach + 1); n++) near.push(x.get(h * capacity + n));
      const pooled = kind === "avg" ? near.reduce((a, b) => a + b, 0) / kernel : Math.max(...near);
      out.set(h * capacity + j, j < end ? pooled : 0);
    }
  }
};
