// Written by `npm run api`. Do not edit.

// @ziggurat/cuda

export interface Binaries {
  readonly addon: string | URL;
  readonly kernels: string | URL;
}

export class CudaError extends Error {
  readonly name = "CudaError";
}

export interface CudaOptions {
  readonly device?: number;
  readonly maxBytes?: number;
  readonly cublasLt?: string | false;
  readonly binaries?: Binaries;
}

export function cuda(options?: CudaOptions): Promise<Backend>;
