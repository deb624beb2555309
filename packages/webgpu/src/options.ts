import type { GpuProfile } from "./profile.js";

// Apart from start.ts, whose declarations need those of WebGPU.

/**
 * What `navigator.gpu` is: named here by what is used of it, so that no declarations of WebGPU are needed to compile
 * against this package.
 */
export interface Gpu {
  readonly wgslLanguageFeatures?: { has(name: string): boolean };
  requestAdapter(options?: { powerPreference?: "low-power" | "high-performance" }): Promise<unknown>;
}

/** What a device may have beyond what every WebGPU has, and kernels use where it is there. */
export type OptionalFeature = "subgroups" | "largeBindings" | "shaderF16" | "subgroupMatrix" | "packedDots";

export interface WebGpuOptions {
  /**
   * Default `navigator.gpu`. In Node: `create([])` of the npm package `webgpu`. Keep it referenced for as long as the
   * backend lives.
   */
  readonly gpu?: Gpu;
  /** Default "high-performance". */
  readonly powerPreference?: "low-power" | "high-performance";
  /** Features to leave unused although they are there. */
  readonly without?: readonly OptionalFeature[];
  /**
   * Bytes that all buffers together may take; default Infinity, as WebGPU does not say. An allocation beyond fails as
   * the device's would.
   */
  readonly maxBytes?: number;
  /** Bytes that one binding may have at most, below the device's own limit: for tests of what larger operands do. */
  readonly maxBindingBytes?: number;
  /** Told how long every dispatch took; slows the device down. */
  readonly profile?: GpuProfile;
}
