import type { Spec } from "@ziggurat/tensor";
import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { watched } from "./watch.js";

/** The watches, each query for itself; some write behind columns that were written before. */
export const observe: readonly Case[] = casesOf(
  "observe",
  watched.map(({ about, spec: watch, inputs }, index) => {
    const first = index % 3;
    const queries = first + watch.tokens - (watch.from ?? 0) + (index % 2);
    const spec: Spec<"observe"> = { ...watch, queries, first };
    return {
      ...{ about, spec },
      inputs: (random: Random) => ({
        ...inputs(random),
        observed: random.uniform(spec.sequences * spec.queryHeads * spec.capacity * queries),
      }),
    };
  }),
);
