export { type OutputChangeOptions, outputChange, outputChangeOptions } from "./output-change.js";
export { type RestKVOptions, restkv, restkvOptions } from "./restkv.js";
