import type { Spec } from "../catalogue.js";
import { broadcast } from "./broadcast.js";
import type { Meaning } from "./view.js";

const kinds: Record<Spec<"binary">["kind"], (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  gt: (a, b) => Number(a > b),
  ge: (a, b) => Number(a >= b),
  eq: (a, b) => Number(a === b),
  and: (a, b) => Number(a !== 0 && b !== 0),
  or: (a, b) => Number(a !== 0 || b !== 0),
};

export const binary: Meaning<"binary"> = (spec, { a, b, out }) => {
  const value = Math.fround(spec.value);
  broadcast([spec.d0, spec.d1, spec.d2], (index, at) => {
    const left = a.get(at([spec.a0, spec.a1, spec.a2]));
    const right = b ? b.get(at([spec.b0, spec.b1, spec.b2])) : value;
    out.set(index, kinds[spec.kind](left, right));
  });
};
