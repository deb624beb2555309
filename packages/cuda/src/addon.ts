import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { CudaError } from "./error.js";

/** An open device; opaque. */
export type Handle = { readonly brand: unique symbol };

export interface DeviceFacts {
  readonly name: string;
  /** Compute capability. */
  readonly major: number;
  readonly minor: number;
  readonly multiprocessors: number;
  /** The most shared memory that a block can have, in bytes. */
  readonly sharedBytes: number;
  readonly cacheBytes: number;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** The highest CUDA version that the driver supports: 13000 stands for 13.0. */
  readonly driver: number;
  /** 1 if cuBLASLt was opened, else 0. */
  readonly cublasLt: number;
}

/** 0: success; 1: out of memory; 2: the device or its driver failed. */
export type FailureKind = 0 | 1 | 2;
type Complete = (
  ticket: number,
  kind: FailureKind,
  message: string,
  lost: readonly number[],
  data: Uint8Array<ArrayBuffer>,
) => void;

/**
 * The functions of addon/addon.cc. All but `open`, `reserved` and `destroy` only enqueue work. The caller chooses the
 * ids, from 1 on.
 */
export interface Addon {
  /** The reason why there is no driver; undefined if there is one. */
  probe(): string | undefined;
  /**
   * Opens a device. cublasLt: its path, "" for the one that the loader finds, if any, or undefined for none. Throws an
   * error with the reason.
   */
  open(ordinal: number, complete: Complete, cublasLt: string | undefined): DeviceFacts & { readonly device: Handle };
  allocate(device: Handle, buffer: number, bytes: number): void;
  free(device: Handle, buffer: number): void;
  write(device: Handle, buffer: number, offset: number, data: Uint8Array): void;
  read(device: Handle, buffer: number, offset: number, bytes: number, ticket: number): void;
  synchronise(device: Handle, ticket: number): void;
  load(device: Handle, module: number, image: Uint8Array): void;
  kernel(device: Handle, kernel: number, module: number, name: string, sharedBytes: number): void;
  launch(device: Handle, commands: Uint8Array): void;
  record(device: Handle, program: number, commands: Uint8Array): void;
  replay(device: Handle, program: number): void;
  release(device: Handle, program: number): void;
  reserved(device: Handle): number;
  close(device: Handle, ticket: number): void;
  destroy(device: Handle): void;
}

/** Paths or file URLs of the addon and of the kernels. */
export interface Binaries {
  readonly addon: string | URL;
  readonly kernels: string | URL;
}

const packageOf = (platform: string, arch: string) => `@ziggurat/cuda-${platform}-${arch}`;
const pathOf = (place: string | URL) => (typeof place === "string" ? place : fileURLToPath(place));
const because = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Finds the prebuilt binaries for this machine. Rejects with a {@link CudaError} if there are none. */
export async function findBinaries(): Promise<Binaries> {
  const { platform, arch } = process;
  if (platform !== "linux" || arch !== "x64") {
    throw new CudaError(
      `there are no CUDA binaries for ${platform} on ${arch}, only for linux on x64; use another backend`,
    );
  }
  try {
    return await import("@ziggurat/cuda-linux-x64");
  } catch (cause) {
    throw new CudaError(
      `${packageOf(platform, arch)} is not installed, which holds the CUDA binaries: ${because(cause)}`,
      { cause },
    );
  }
}

/** Loads the addon. Throws a {@link CudaError} if the file is missing or does not load. */
export function loadAddon(place: string | URL): Addon {
  const path = pathOf(place);
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (cause) {
    throw new CudaError(
      `the CUDA addon could not be loaded from ${path}; a checkout builds it with packages/cuda/scripts/build.mjs: ${because(cause)}`,
      {
        cause,
      },
    );
  }
}

/**
 * Reads the kernels: an image (fatbin) by name for each file of native/. The file consists of a JSON object of [offset,
 * bytes] by name, a zero byte, and the images. Offsets count from the first image. Rejects with a {@link CudaError} if
 * the file cannot be read.
 */
export async function loadKernels(place: string | URL): Promise<ReadonlyMap<string, Uint8Array>> {
  const path = pathOf(place);
  try {
    const file = await readFile(path);
    const end = file.indexOf(0);
    const table = JSON.parse(file.subarray(0, end).toString("utf8")) as Record<string, [offset: number, bytes: number]>;
    return new Map(
      Object.entries(table).map(([name, [offset, bytes]]) => [
        name,
        file.subarray(end + 1 + offset, end + 1 + offset + bytes),
      ]),
    );
  } catch (cause) {
    throw new CudaError(
      `the CUDA kernels could not be read from ${path}; a checkout builds them with packages/cuda/scripts/build.mjs: ${because(cause)}`,
      {
        cause,
      },
    );
  }
}
