import type { Spec } from "../catalogue.js";
import type { Meaning } from "./view.js";

const kinds: Record<Spec<"unary">["kind"], (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  not: (x) => Number(x === 0),
  float: (x) => x,
};

export const unary: Meaning<"unary"> = ({ elements, kind }, { x, out }) => {
  for (let i = 0; i < elements; i++) out.set(i, kinds[kind](x.get(i)));
};
