/**
 * The CUDA backend could not start, or the device or its driver failed; the message says what was missing or which call
 * failed and how.
 */
export class CudaError extends Error {
  override readonly name = "CudaError";
}
