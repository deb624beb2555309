import { cuda } from "@ziggurat/cuda";

/** The path of cuBLASLt, from the environment variable CUBLAS_LT; if it is unset, cuBLASLt is not used. */
export const cublasLt = process.env.CUBLAS_LT || undefined;

/** Opens the backend with the binaries beside this program, or with the kernels that the variable KERNELS names. */
export const create = (path: string | false = cublasLt ?? false, options: { readonly maxBytes?: number } = {}) =>
  cuda({
    ...options,
    binaries: {
      addon: new URL("ziggurat.node", import.meta.url),
      kernels: new URL(process.env.KERNELS || "kernels.bin", import.meta.url),
    },
    cublasLt: path,
  });
