import type { Spec } from "../catalogue.js";
import type { Meaning } from "./view.js";

const sum = (x: readonly number[]) => x.reduce((a, b) => a + b, 0);

const kinds: Record<Spec<"reduce">["kind"], (x: readonly number[]) => number> = {
  sum,
  mean: (x) => (x.length === 0 ? 0 : sum(x) / x.length),
  max: (x) => x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
  min: (x) => x.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY),
  norm: (x) => Math.sqrt(sum(x.map((value) => value * value))),
};

export const reduce: Meaning<"reduce"> = ({ d0, d1, d2, share, axis, kind }, { x, length, out }) => {
  const shape = [d0, d1, d2];
  const strides = [d1 * d2, d2, 1];
  const outer = shape.map((n, i) => (i === axis ? 1 : n));
  let index = 0;
  for (let i = 0; i < outer[0]!; i++) {
    const count = length ? Math.min(length.get(Math.floor(i / share)), d1) : shape[axis]!;
    for (let j = 0; j < outer[1]!; j++) {
      for (let k = 0; k < outer[2]!; k++) {
        const start = i * d1 * d2 + j * d2 + k;
        const along = Array.from({ length: count }, (_, n) => x.get(start + n * strides[axis]!));
        out.set(index++, kinds[kind](along));
      }
    }
  }
};
