export { type Outcome, type RawLayer, type RunPolicyOptions, type RunPolicyResult, runPolicy } from "./run-policy.js";
