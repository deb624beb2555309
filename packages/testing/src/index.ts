export type { Case } from "./case.js";
export { cases } from "./cases/index.js";
export { testContract } from "./contract.js";
export { evaluateScorer, type ScorerRows } from "./evaluate-scorer.js";
export { nullBackend, ReadRefusedError } from "./null-backend.js";
export { ConformanceError, runCase } from "./run-case.js";
export {
  type PolicyOutcome,
  type PolicyTurn,
  type PolicyTurnResult,
  type RawLayer,
  type RunPolicyOptions,
  type RunPolicyResult,
  runPolicy,
} from "./run-policy.js";
export { type BackendSuite, testBackend, type Variant } from "./test-backend.js";
export { type TestPolicyOptions, testPolicy } from "./test-policy.js";
export { type AllcloseOptions, toBeAllclose } from "./to-be-allclose.js";
