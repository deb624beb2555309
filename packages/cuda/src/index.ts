export type { Binaries } from "./addon.js";
export { type CudaOptions, cuda } from "./cuda.js";
export { CudaError } from "./error.js";
