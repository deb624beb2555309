import type { Meaning } from "./view.js";

const silu = (a: number) => a / (1 + Math.exp(-a));
/** arXiv 1606.08415, the approximation by tanh. */
const gelu = (a: number) => 0.5 * a * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3)));

export const gatedActivation: Meaning<"gatedActivation"> = ({ rows, width, kind }, { x, out }) => {
  const activation = kind === "silu" ? silu : gelu;
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < width; i++) {
      const gate = x.get(r * 2 * width + i);
      const up = x.get(r * 2 * width + width + i);
      out.set(r * width + i, activation(gate) * up);
    }
  }
};
