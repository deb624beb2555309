// Written by `npm run api`. Do not edit.

// @ziggurat/h2o

export type H2OOptions = OptionsOf<typeof h2oOptions>;

export function h2o(options: H2OOptions): Policy;

export const h2oOptions: import("@ziggurat/policy").Options<{
  readonly keep: import("@ziggurat/policy").Option<number, false>;
  readonly recent: import("@ziggurat/policy").Option<number, true>;
  readonly reduce: import("@ziggurat/policy").Option<"max" | "sum" | "mean", true>;
}>;

export function heavyHitters(reduction?: GroupReduction): Scorer<"total">;
