// Written by `npm run api`. Do not edit.

// @ziggurat/policies

export type Keep =
  | {
      readonly rows: number;
    }
  | {
      readonly share: number;
    };

export interface ListedPolicy {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly package: string;
  readonly paper?: string;
  readonly options: Options;
  make(given: Readonly<Record<string, unknown>>): Policy;
}

export interface MadePolicy {
  readonly name: string;
  readonly keep: number | undefined;
  readonly budget: string;
  readonly policy: Policy;
}

export interface PolicySpec {
  readonly listed: ListedPolicy;
  readonly keep?: Keep;
  readonly options: Readonly<Record<string, unknown>>;
}

export const keepAsText: (keep: Keep) => string;

export function makePolicy({ listed, keep, options }: PolicySpec, tokens: number): MadePolicy;

export function parseKeep(where: string, text: string): Keep;

export function parsePolicies(text: string): PolicySpec[];

export function parsePolicy(text: string): PolicySpec;

export const policies: readonly ListedPolicy[];

export function rowsOf(
  keep: Keep,
  tokens: number,
  { options }: ListedPolicy,
  given?: Readonly<Record<string, unknown>>,
): number;
