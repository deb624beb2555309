import { OutOfMemoryError } from "@ziggurat/tensor";

/**
 * WebGPU is missing, has no adapter, rejected a request or reported an error. The message says which, and why.
 */
export class WebGpuError extends Error {
  override readonly name: string = "WebGpuError";
}

/** The device was lost: reset, removed, or stopped because it took too long. Load the model on a new backend. */
export class DeviceLostError extends WebGpuError {
  override readonly name = "DeviceLostError";
}

/**
 * Converts an uncaptured error of the device. It compares names because the classes of WebGPU are no globals in Node.
 */
export const reported = (error: GPUError): Error =>
  error.constructor.name === "GPUOutOfMemoryError"
    ? new OutOfMemoryError(`the device has no memory left for a workspace: ${error.message}`)
    : new WebGpuError(`the device reports: ${error.message}`);
