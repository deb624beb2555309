import { OutOfMemoryError } from "@ziggurat/tensor";

/**
 * WebGPU is not there, has no adapter, refuses what was asked of it, or reported an error; the message says which and
 * why.
 */
export class WebGpuError extends Error {
  override readonly name: string = "WebGpuError";
}

/** The device is gone: it was reset, removed, or took too long. Load the model again on a new backend. */
export class DeviceLostError extends WebGpuError {
  override readonly name = "DeviceLostError";
}

/**
 * What a device says of its own accord, as an error of ours. By name, because the classes of WebGPU are no globals in
 * Node.
 */
export const reported = (error: GPUError): Error =>
  error.constructor.name === "GPUOutOfMemoryError"
    ? new OutOfMemoryError(`the device has no memory left for a workspace: ${error.message}`)
    : new WebGpuError(`the device reports: ${error.message}`);
