// Written by `npm run api`. Do not edit.

// @ziggurat/cpu

export class CpuError extends Error {
  readonly name = "CpuError";
}

export interface CpuOptions {
  readonly threads?: number;
  readonly simd?: "auto" | SimdLevel;
  readonly maxBytes?: number;
  readonly shared?: boolean;
}

export type SimdLevel = "base" | "relaxed";

export function cpu(options?: CpuOptions): Promise<Backend>;
