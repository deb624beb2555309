import { broadcast } from "./broadcast.js";
import type { Meaning } from "./view.js";

export const where: Meaning<"where"> = (spec, { mask, a, b, out }) => {
  broadcast([spec.d0, spec.d1, spec.d2], (index, at) => {
    const yes = mask.get(at([spec.m0, spec.m1, spec.m2])) !== 0;
    const left = () => a?.get(at([spec.a0, spec.a1, spec.a2])) ?? spec.valueA;
    const right = () => b?.get(at([spec.b0, spec.b1, spec.b2])) ?? spec.valueB;
    out.set(index, yes ? left() : right());
  });
};
