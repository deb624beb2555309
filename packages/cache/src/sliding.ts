import type { Policy } from "@ziggurat/policy";
import type { CacheLayer } from "./shape.js";

/** Sliding layers are no policy's business: the newest rows stay. */
const slidingWindow: Pick<Policy, "score" | "protect"> = {
  score: { score: ({ positions }) => positions },
  protect: { count: () => 0, mask: ({ positions }) => positions.lt(0) },
};

/** The policy that decides about a layer. */
export const policyFor = (layer: CacheLayer, policy: Policy): Policy =>
  layer.kind === "sliding" ? { ...policy, ...slidingWindow } : policy;
