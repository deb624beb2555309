import { cuda } from "@ziggurat/cuda";

/** The path of cuBLASLt, in the environment variable CUBLAS_LT; without it products go through the own kernels. */
export const cublasLt = process.env.CUBLAS_LT || undefined;

/** The backend, with the binaries beside this program, or the kernels that the environment variable KERNELS names. */
export const create = (path: string | false = cublasLt ?? false, options: { readonly maxBytes?: number } = {}) =>
  cuda({
    ...options,
    binaries: {
      addon: new URL("ziggurat.node", import.meta.url),
      kernels: new URL(process.env.KERNELS || "kernels.bin", import.meta.url),
    },
    cublasLt: path,
  });
