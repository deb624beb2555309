// Written by `npm run api`. Do not edit.

// @ziggurat/pyramid

export interface PyramidKVOptions extends SnapKVOptions, PyramidOptions {}

export interface PyramidOptions {
  readonly beta?: number;
  readonly rounding?: "exact" | "released";
}

export function pyramid(keep: number, options?: PyramidOptions): Budget;

export function pyramidkv(options: PyramidKVOptions): Policy;
