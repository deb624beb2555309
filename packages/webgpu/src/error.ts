/** WebGPU is not there, has no adapter, refuses what was asked of it, or reported an error; the message says which and why. */
export class WebGpuError extends Error {
  override readonly name: string = "WebGpuError";
}

/** The device is gone: it was reset, removed, or took too long. Load the model again on a new backend. */
export class DeviceLostError extends WebGpuError {
  override readonly name = "DeviceLostError";
}
