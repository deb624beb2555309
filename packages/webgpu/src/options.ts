import type { GpuProfile } from "./profile.js";

// Separate from start.ts, whose declarations need the types of WebGPU.

/**
 * The part of `navigator.gpu` that this package uses, so that callers compile without the type declarations of WebGPU.
 */
export interface Gpu {
  readonly wgslLanguageFeatures?: { has(name: string): boolean };
  requestAdapter(options?: { powerPreference?: "low-power" | "high-performance" }): Promise<unknown>;
}

/** Optional features of a device that kernels use if they are present. */
export type OptionalFeature = "subgroups" | "largeBindings" | "shaderF16" | "subgroupMatrix" | "packedDots";

export interface WebGpuOptions {
  /**
   * Default `navigator.gpu`. In Node: `create([])` of the npm package `webgpu`. Keep it referenced for as long as the
   * backend lives.
   */
  readonly gpu?: Gpu;
  /** Default "high-performance". */
  readonly powerPreference?: "low-power" | "high-performance";
  /** Features to leave unused even if the device has them. */
  readonly without?: readonly OptionalFeature[];
  /**
   * Most bytes of all buffers together; default Infinity, because WebGPU does not report a limit. An allocation beyond
   * it fails like one that the device refuses.
   */
  readonly maxBytes?: number;
  /** Most bytes of one binding, below the limit of the device: for tests of larger operands. */
  readonly maxBindingBytes?: number;
  /** Collects the duration of every dispatch, which slows the device down. */
  readonly profile?: GpuProfile;
}
