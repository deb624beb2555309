/**
 * An error of the CUDA backend: it could not start, or the device or its driver failed. The message says what is
 * missing, or which call failed and why.
 */
export class CudaError extends Error {
  override readonly name = "CudaError";
}
