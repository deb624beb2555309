// The conformance cases without a test runner: for pages in a browser, benches and other runners than vitest.

export type { Case } from "./case.js";
export { dequantised, weights } from "./cases/data.js";
export { cases } from "./cases/index.js";
export { randomFrom } from "./random.js";
export { ConformanceError, runCase } from "./run-case.js";
