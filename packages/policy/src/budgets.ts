import { checkWhole, refuse } from "./check.js";
import type { Budget } from "./policy.js";

/** The same number of rows in every layer and head. `keep`: whole, at least 1, protected rows included. */
export function uniform(keep: number): Budget {
  checkWhole("uniform", "keep", keep, 1);
  return ({ layers }) => layers.map(() => keep);
}

/**
 * A share of the tokens read by the time a layer is compressed, the same in every layer: `share` x seen, rounded to the
 * nearest row (a half upwards). Never fewer rows than are protected, so that a short message is no error, and at least
 * 1. `share`: more than 0, at most 1.
 */
export function fraction(share: number): Budget {
  if (!(typeof share === "number" && share > 0 && share <= 1))
    refuse("fraction", "share", share, "a number above 0 and at most 1");
  return ({ layers, seen, protectedRows }) => layers.map(() => Math.max(1, protectedRows, Math.round(share * seen)));
}

/**
 * A number of rows for each KV head, the same in every layer. Takes one number per KV head of a layer; each whole, at
 * least 1.
 */
export function perHead(...keep: readonly number[]): Budget {
  if (keep.length === 0) refuse("perHead", "keep", keep, "one number per KV head");
  keep.forEach((rows, head) => checkWhole("perHead", `keep[${head}]`, rows, 1));
  return ({ layers }) => layers.map(() => keep);
}
