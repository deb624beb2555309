export {
  type LlamaShape,
  layerWeights,
  llama1b,
  llama8b,
  pebble,
  prefillOperations,
  randomLlama,
  rowBytes,
  smollm2,
  weightBytes,
} from "./random-llama.js";
export { machine, median, megabytes, randomIds, table } from "./report.js";
