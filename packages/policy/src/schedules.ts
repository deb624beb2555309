import { checkWhole } from "./check.js";
import type { Schedule } from "./policy.js";

/** When a message has been read; nothing is evicted while the answer is generated. */
export const afterPrefill =
  (): Schedule =>
  ({ phase }) =>
    phase === "prefill";

/** After every message and generated token that leaves a layer with more rows than its budget: rolling eviction. */
export const whenOver =
  (): Schedule =>
  ({ excess }) =>
    excess > 0;

/**
 * At a generated token, once `n` or more tokens were read since the layer was last compressed. `n`: whole, at least 1.
 */
export function every(n: number): Schedule {
  checkWhole("every", "n", n, 1);
  return ({ phase, sinceCompressed }) => phase === "decode" && sinceCompressed >= n;
}

/** The layer is never compressed. */
export const never = (): Schedule => () => false;
