import { checkWhole, refuse } from "./check.js";
import type { Budget } from "./policy.js";

/** The same number of rows in every layer and head. `keep`: whole, at least 1, protected rows included. */
export function uniform(keep: number): Budget {
  checkWhole("uniform", "keep", keep, 1);
  return ({ layers }) => layers.map(() => keep);
}

/**
 * A share of what was read when the schedule fires, the same in every layer: `share` x seen, rounded to the nearest row
 * (a half upwards), but never fewer rows than are protected, so that a short message isn't an error, and at least 1.
 * `share`: more than 0, at most 1.
 */
export function fraction(share: number): Budget {
  if (!(typeof share === "number" && share > 0 && share <= 1))
    refuse("fraction", "share", share, "a number above 0 and at most 1");
  return ({ layers, seen, protectedRows }) => layers.map(() => Math.max(1, protectedRows, Math.round(share * seen)));
}

/**
 * A number of rows for each KV head, the same in every layer. Needs as many numbers as a layer has KV heads; each
 * whole, at least 1.
 */
export function perHead(...keep: readonly number[]): Budget {
  if (keep.length === 0) refuse("perHead", "keep", keep, "one number per KV head");
  keep.forEach((rows, head) => checkWhole("perHead", `keep[${head}]`, rows, 1));
  // Sliding layers evict by themselves and may have another number of heads.
  return ({ layers }) => layers.map(({ kind }) => (kind === "global" ? keep : Math.max(...keep)));
}
