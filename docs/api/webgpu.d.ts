// Written by `npm run api`. Do not edit.

// @ziggurat/webgpu

export class DeviceLostError extends WebGpuError {
  readonly name = "DeviceLostError";
}

export interface Gpu {
  readonly wgslLanguageFeatures?: {
    has(name: string): boolean;
  };
  requestAdapter(options?: { powerPreference?: "low-power" | "high-performance" }): Promise<unknown>;
}

export class GpuProfile {
  get timings(): readonly Timing[];
  reset(): void;
}

export type OptionalFeature = "subgroups" | "largeBindings" | "shaderF16" | "subgroupMatrix" | "packedDots";

export interface Timing {
  readonly op: string;
  readonly dispatches: number;
  readonly microseconds: number;
}

export class WebGpuError extends Error {
  readonly name: string;
}

export interface WebGpuOptions {
  readonly gpu?: Gpu;
  readonly powerPreference?: "low-power" | "high-performance";
  readonly without?: readonly OptionalFeature[];
  readonly maxBytes?: number;
  readonly maxBindingBytes?: number;
  readonly profile?: GpuProfile;
}

export function webgpu(options?: WebGpuOptions): Promise<Backend>;

// @ziggurat/webgpu/node

export function dawn(): Promise<Gpu>;
