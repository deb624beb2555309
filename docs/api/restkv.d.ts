// Written by `npm run api`. Do not edit.

// @ziggurat/restkv

export type OutputChangeOptions = OptionsOf<typeof outputChangeOptions>;

export interface RestKVOptions extends Given<typeof budget>, OutputChangeOptions {}

export function outputChange(given?: OutputChangeOptions): Scorer;

export const outputChangeOptions: import("@ziggurat/policy").Options<{
  readonly window: import("@ziggurat/policy").Option<number, true>;
  readonly kernel: import("@ziggurat/policy").Option<number, true>;
  readonly average: import("@ziggurat/policy").Option<"mean" | "moving", true>;
  readonly alpha: import("@ziggurat/policy").Option<number, true>;
}>;

export function restkv(options: RestKVOptions): Policy;

export const restkvOptions: import("@ziggurat/policy").Options<{
  readonly window: import("@ziggurat/policy").Option<number, true>;
  readonly kernel: import("@ziggurat/policy").Option<number, true>;
  readonly average: import("@ziggurat/policy").Option<"mean" | "moving", true>;
  readonly alpha: import("@ziggurat/policy").Option<number, true>;
  readonly keep: import("@ziggurat/policy").Option<number, false>;
}>;
