import { checkWhole } from "./check.js";
import type { Schedule } from "./policy.js";

/** Compresses after every message; nothing is evicted while the answer is generated. */
export const afterPrefill =
  (): Schedule =>
  ({ phase }) =>
    phase === "prefill";

/** Compresses after every message and generated token that leaves a layer over its budget: rolling eviction. */
export const whenOver =
  (): Schedule =>
  ({ excess }) =>
    excess > 0;

/**
 * Compresses at a generated token, once `n` or more tokens were read since the layer was last compressed. `n`: whole,
 * at least 1.
 */
export function every(n: number): Schedule {
  checkWhole("every", "n", n, 1);
  return ({ phase, sinceCompressed }) => phase === "decode" && sinceCompressed >= n;
}

/** Never compresses. */
export const never = (): Schedule => () => false;
