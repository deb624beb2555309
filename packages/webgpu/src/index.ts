export { DeviceLostError, WebGpuError } from "./error.js";
export type { Gpu, OptionalFeature, WebGpuOptions } from "./options.js";
export { GpuProfile, type Timing } from "./profile.js";
export { webgpu } from "./webgpu.js";
