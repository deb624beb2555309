// Apart from start.ts, whose declarations need those of WebGPU.

/** What `navigator.gpu` is: named here by what is used of it, so that no declarations of WebGPU are needed to compile against this package. */
export interface Gpu {
  requestAdapter(options?: { powerPreference?: "low-power" | "high-performance" }): Promise<unknown>;
}

/** What a device may have beyond what every WebGPU has, and kernels use where it is there. */
export type OptionalFeature = "subgroups" | "largeBindings";

export interface WebGpuOptions {
  /** Default `navigator.gpu`. In Node: `create([])` of the npm package `webgpu`. Keep it referenced for as long as the backend lives. */
  readonly gpu?: Gpu;
  /** Default "high-performance". */
  readonly powerPreference?: "low-power" | "high-performance";
  /** Features to leave unused although they are there. */
  readonly without?: readonly OptionalFeature[];
  /** Bytes that all buffers together may take; default Infinity, as WebGPU does not say. An allocation beyond fails as the device's would. */
  readonly maxBytes?: number;
}
