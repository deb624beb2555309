// Written by `npm run api`. Do not edit.

// @ziggurat/snapkv

export type ObservationWindowOptions = OptionsOf<typeof observationWindowOptions>;

export interface SnapKVOptions extends Given<typeof budget>, ObservationWindowOptions {}

export function observationWindow(options?: ObservationWindowOptions): Scorer;

export const observationWindowOptions: import("@ziggurat/policy").Options<{
  readonly window: import("@ziggurat/policy").Option<number, true>;
  readonly kernel: import("@ziggurat/policy").Option<number, true>;
  readonly pooling: import("@ziggurat/policy").Option<"max" | "average", true>;
  readonly reduce: import("@ziggurat/policy").Option<"max" | "sum" | "mean", true>;
}>;

export function snapkv(options: SnapKVOptions): Policy;

export const snapkvOptions: import("@ziggurat/policy").Options<{
  readonly window: import("@ziggurat/policy").Option<number, true>;
  readonly kernel: import("@ziggurat/policy").Option<number, true>;
  readonly pooling: import("@ziggurat/policy").Option<"max" | "average", true>;
  readonly reduce: import("@ziggurat/policy").Option<"max" | "sum" | "mean", true>;
  readonly keep: import("@ziggurat/policy").Option<number, false>;
}>;
