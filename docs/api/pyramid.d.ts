// Written by `npm run api`. Do not edit.

// @ziggurat/pyramid

export interface PyramidKVOptions extends Given<typeof budget>, ObservationWindowOptions, PyramidOptions {}

export type PyramidOptions = OptionsOf<typeof pyramidOptions>;

export function pyramid(keep: number, options?: PyramidOptions): Budget;

export const pyramidOptions: import("@ziggurat/policy").Options<{
  readonly beta: import("@ziggurat/policy").Option<number, true>;
  readonly rounding: import("@ziggurat/policy").Option<"exact" | "released", true>;
}>;

export function pyramidkv(options: PyramidKVOptions): Policy;

export const pyramidkvOptions: import("@ziggurat/policy").Options<{
  readonly beta: import("@ziggurat/policy").Option<number, true>;
  readonly rounding: import("@ziggurat/policy").Option<"exact" | "released", true>;
  readonly keep: import("@ziggurat/policy").Option<number, false>;
  readonly window: import("@ziggurat/policy").Option<number, true>;
  readonly kernel: import("@ziggurat/policy").Option<number, true>;
  readonly pooling: import("@ziggurat/policy").Option<"max" | "average", true>;
  readonly reduce: import("@ziggurat/policy").Option<"max" | "sum" | "mean", true>;
}>;
