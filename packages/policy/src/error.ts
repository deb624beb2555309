/**
 * A policy's options, or what a policy asked for, cannot be: names the policy, the layer where there is one, and the
 * numbers.
 */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}
