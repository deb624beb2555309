// Written by `npm run api`. Do not edit.

// @ziggurat/scorers

export type KeyDiffOptions = OptionsOf<typeof keydiffOptions>;

export type KnormOptions = OptionsOf<typeof knormOptions>;

export type TovaOptions = OptionsOf<typeof tovaOptions>;

export const keyDifference: Scorer;

export const keyNorm: Scorer;

export function keydiff(options: KeyDiffOptions): Policy;

export const keydiffOptions: import("@ziggurat/policy").Options<{
  readonly keep: import("@ziggurat/policy").Option<number, false>;
}>;

export function knorm(options: KnormOptions): Policy;

export const knormOptions: import("@ziggurat/policy").Options<{
  readonly keep: import("@ziggurat/policy").Option<number, false>;
}>;

export const lastQuery: Scorer;

export function tova(options: TovaOptions): Policy;

export const tovaOptions: import("@ziggurat/policy").Options<{
  readonly keep: import("@ziggurat/policy").Option<number, false>;
}>;
