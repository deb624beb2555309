export { DeviceLostError, WebGpuError } from "./error.js";
export type { Gpu, OptionalFeature, WebGpuOptions } from "./start.js";
export { webgpu } from "./webgpu.js";
