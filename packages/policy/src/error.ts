/**
 * Invalid policy options, or an invalid budget, count or tensor returned by a policy. Names policy, layer and numbers.
 */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}
