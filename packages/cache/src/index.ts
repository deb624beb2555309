export { Arena } from "./arena.js";
export { Buffers } from "./buffers.js";
export { Cache, type CacheOptions, type CachePlan, type Group, groupOrder } from "./cache.js";
export { DecodeStep, firingPattern } from "./decode.js";
export {
  type CacheBytes,
  cacheBytes,
  type PlannedSequence,
  peakBytes,
  planTurn,
  type ScratchTarget,
  scratchBytes,
  type TurnPlan,
  tableBytes,
} from "./plan.js";
export { Prefill, type Target } from "./prefill.js";
export { type Firings, Progress } from "./progress.js";
export { type OwnedRopeTable, ropeTable, rotaryFrequencies } from "./rope.js";
export {
  CacheError,
  type CacheLayer,
  type CacheShape,
  planesOf,
  type RopeOf,
  type RopeTable,
  rowBytes,
} from "./shape.js";
export { Tables } from "./tables.js";
