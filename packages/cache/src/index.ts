export { Account, type Keep } from "./account.js";
export { Cache, type CacheOptions } from "./cache.js";
export { DecodeStep, type DecodeStepOptions, stepPattern } from "./decode.js";
export {
  type CacheBytes,
  cacheBytes,
  type PlannedSequence,
  peakBytes,
  planSteps,
  planTurn,
  type ReservedRows,
  scratchBytes,
  type TurnPlan,
  tableBytes,
} from "./plan.js";
export { Prefill, type Target, type Tile } from "./prefill.js";
export { type OwnedRopeTable, ropeTable, rotaryFrequencies } from "./rope.js";
export {
  CacheError,
  type CacheLayer,
  type CacheShape,
  type GramOf,
  planesOf,
  type RopeOf,
  type RopeTable,
  rowBytes,
} from "./shape.js";
export { columnInput, type ViewFacts, viewOf } from "./sources.js";
