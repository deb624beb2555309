// Policies compared on one text (`@ziggurat/runtime/evaluate`): answers and log-probabilities.

export { type EachResult, type GenerateEachOptions, generateEach } from "./evaluate/generate-each.js";
export { logProbabilities } from "./evaluate/log-probabilities.js";
export {
  type EachLogProbabilities,
  type LogProbabilitiesEachOptions,
  logProbabilitiesEach,
} from "./evaluate/log-probabilities-each.js";
