export { DeviceLostError, WebGpuError } from "./error.js";
export type { Gpu, OptionalFeature, WebGpuOptions } from "./options.js";
export { webgpu } from "./webgpu.js";
