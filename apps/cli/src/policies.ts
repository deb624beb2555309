import { h2o } from "@ziggurat/h2o";
import { full, type Policy, random, sinksAndRecent } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { fit, type Model } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import { quote, UsageError } from "./error.js";

// From what is typed to a policy: `snapkv:keep=12%,window=16`.

/** Every option that some policy takes beside `keep`, and whether it is a number or a word. */
const optionKinds = {
  sinks: "number",
  recent: "number",
  window: "number",
  kernel: "number",
  pooling: "word",
  reduce: "word",
  beta: "number",
  rounding: "word",
  seed: "number",
} as const;

export type OptionName = keyof typeof optionKinds;
type Options = Partial<Record<OptionName, number | string>>;

export interface PolicyKind {
  /** Whether it has a budget. */
  readonly keeps: boolean;
  readonly options: readonly OptionName[];
  readonly about: string;
  /** The policies check their options themselves, so that what was typed may be anything. */
  make(options: Options & { readonly keep: number }): Policy;
}

/** The policies that can be named; a new one is a line here. */
export const policyKinds: Readonly<Record<string, PolicyKind>> = {
  full: { keeps: false, options: [], about: "keeps every row", make: () => full() },
  streaming: {
    keeps: true,
    options: ["sinks"],
    about: "StreamingLLM: the first tokens and a rolling window",
    make: (options) => streaming(options as Parameters<typeof streaming>[0]),
  },
  h2o: {
    keeps: true,
    options: ["recent", "reduce"],
    about: "heavy hitters by all attention so far, and the newest",
    make: (options) => h2o(options as Parameters<typeof h2o>[0]),
  },
  snapkv: {
    keeps: true,
    options: ["window", "kernel", "pooling", "reduce"],
    about: "what the last queries of the prompt looked at",
    make: (options) => snapkv(options as Parameters<typeof snapkv>[0]),
  },
  pyramidkv: {
    keeps: true,
    options: ["window", "kernel", "pooling", "reduce", "beta", "rounding"],
    about: "SnapKV with more rows in lower layers; keep is the mean",
    make: (options) => pyramidkv(options as Parameters<typeof pyramidkv>[0]),
  },
  random: {
    keeps: true,
    options: ["seed", "recent"],
    about: "control: rows drawn at random, and the newest",
    make: (options) => random(options as Parameters<typeof random>[0]),
  },
  sinks: {
    keeps: true,
    options: ["sinks"],
    about: "control: the first tokens and the newest",
    make: (options) => sinksAndRecent(options as Parameters<typeof sinksAndRecent>[0]),
  },
};

const known = Object.keys(policyKinds).join(", ");

/** Rows, or a share of the prompt. */
export type Keep = { readonly rows: number } | { readonly share: number };

/** A policy as it was asked for; its rows wait for the prompt's length. */
export interface PolicySpec {
  readonly name: string;
  readonly kind: PolicyKind;
  readonly keep?: Keep;
  readonly options: Options;
}

const number = (where: string, text: string, right = "a number"): number => {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw new UsageError(`${where} is ${quote(text)}; it must be ${right}`);
  return value;
};

/** `128` rows or `12%` of the prompt. `where` starts the error, such as `--keep`. Throws a `UsageError`. */
export function parseKeep(where: string, text: string): Keep {
  const right = "a whole number of rows of at least 1, or a share of the prompt such as 12%";
  const share = text.endsWith("%");
  const value = number(where, share ? text.slice(0, -1) : text, right);
  if (share) {
    if (!(value > 0 && value <= 100))
      throw new UsageError(`${where} is ${quote(text)}; it must be above 0% and at most 100% of the prompt`);
    return { share: value / 100 };
  }
  if (!Number.isSafeInteger(value) || value < 1) {
    const hint = value > 0 && value < 1 ? `; for a share of the prompt write ${+(100 * value).toFixed(4)}%` : "";
    throw new UsageError(`${where} is ${text}; it must be ${right}${hint}`);
  }
  return { rows: value };
}

/** A list such as `12%,128`. */
export const parseKeeps = (where: string, text: string): Keep[] =>
  text.split(",").map((part) => parseKeep(where, part.trim()));

/** One option, typed as `name=value`. */
function parseOption(where: string, name: OptionName, text: string): number | string {
  return optionKinds[name] === "number" ? number(`${where} ${name}`, text) : text;
}

/** One policy, `name` or `name:option=value,option=value`. Throws a `UsageError`. */
export function parsePolicy(text: string): PolicySpec {
  const [name = "", ...rest] = text.trim().split(":");
  if (!Object.hasOwn(policyKinds, name)) throw new UsageError(`there is no policy ${quote(name)}; there are ${known}`);
  const kind = policyKinds[name]!;
  const allowed = [...(kind.keeps ? ["keep"] : []), ...kind.options];
  const options: Options = {};
  let keep: Keep | undefined;
  const given = rest.join(":");
  for (const part of given === "" ? [] : given.split(",")) {
    const at = part.indexOf("=");
    const option = part.slice(0, at).trim();
    const value = part.slice(at + 1).trim();
    if (at < 1 || value === "")
      throw new UsageError(
        `${name}: ${quote(part.trim())} is no option; write ${name}:${allowed[0] ?? "option"}=value`,
      );
    if (!allowed.includes(option)) {
      throw new UsageError(
        `${name}: no option is called ${quote(option)}; there ${allowed.length === 0 ? "are none" : `are ${allowed.join(", ")}`}`,
      );
    }
    if (option === "keep") keep = parseKeep(`${name}: keep`, value);
    else options[option as OptionName] = parseOption(`${name}:`, option as OptionName, value);
  }
  return { name, kind, options, ...(keep ? { keep } : {}) };
}

/** Several policies between commas; a part `option=value` belongs to the policy before it. */
export function parsePolicies(text: string): PolicySpec[] {
  const specs: string[] = [];
  for (const part of text.split(",")) {
    const isOption = part.includes("=") && !part.slice(0, part.indexOf("=")).includes(":");
    if (isOption && specs.length > 0) specs[specs.length - 1] += `,${part}`;
    else specs.push(part);
  }
  return specs.map(parsePolicy);
}

/**
 * Policies with the flags that hold for all of them. Each takes those that it knows; what its own text says goes first.
 * Throws a `UsageError` for a flag that none of them knows.
 */
export function withShared(specs: readonly PolicySpec[], shared: Options): PolicySpec[] {
  for (const name of Object.keys(shared) as OptionName[]) {
    if (specs.some(({ kind }) => kind.options.includes(name))) continue;
    const takers = Object.keys(policyKinds).filter((policy) => policyKinds[policy]!.options.includes(name));
    throw new UsageError(`--${name} is for ${takers.join(", ")}; none of those is among the policies`);
  }
  return specs.map((spec) => {
    const own = Object.fromEntries(
      Object.entries(shared).filter(([name]) => spec.kind.options.includes(name as OptionName)),
    );
    return { ...spec, options: { ...own, ...spec.options } };
  });
}

/**
 * A policy for every budget: `full` once, one that names its own `keep` once, the others once for each of `keeps`,
 * budget by budget.
 */
export function withKeeps(specs: readonly PolicySpec[], keeps: readonly Keep[]): PolicySpec[] {
  const fixed = ({ kind, keep }: PolicySpec) => !kind.keeps || keep !== undefined;
  const free = specs.filter((spec) => !fixed(spec));
  if (free.length === 0) return [...specs];
  const [first = { share: 0.12 }, ...more] = keeps;
  return [
    ...specs.map((spec) => (fixed(spec) ? spec : { ...spec, keep: first })),
    ...more.flatMap((keep) => free.map((spec) => ({ ...spec, keep }))),
  ];
}

/** A policy, ready. */
export interface NamedPolicy {
  /** As it was called here. */
  readonly name: string;
  /** Rows asked for; undefined for `full`. */
  readonly keep: number | undefined;
  /** The budget as it was typed: `12%`. */
  readonly budget: string;
  readonly policy: Policy;
}

/** `12%` or `128`. */
export const showKeep = (keep: Keep): string =>
  "rows" in keep ? String(keep.rows) : `${+(100 * keep.share).toFixed(4)}%`;

/** The policy itself, for a prompt of `tokens` tokens. Throws a `PolicyError` where an option is out of range. */
export function makePolicy({ name, kind, keep, options }: PolicySpec, tokens: number): NamedPolicy {
  if (!kind.keeps) return { name, keep: undefined, budget: "", policy: kind.make({ ...options, keep: 1 }) };
  if (keep === undefined) throw new UsageError(`${name}: how many rows? Write ${name}:keep=256, or ${name}:keep=12%`);
  const rows = "rows" in keep ? keep.rows : Math.max(1, Math.round(keep.share * tokens));
  return { name, keep: rows, budget: showKeep(keep), policy: kind.make({ ...options, keep: rows }) };
}

export interface Limits {
  readonly maxTokens: number;
  readonly chunk?: number;
  readonly maxCacheBytes?: number;
}

/**
 * A policy that names no `keep` gets the most rows that stay below the ceiling for a prompt of `tokens` tokens, where
 * there is a ceiling.
 */
export function withCeiling(
  model: Model,
  spec: PolicySpec,
  tokens: number,
  { maxTokens, chunk, maxCacheBytes }: Limits,
  make: (spec: PolicySpec) => Policy = (wanted) => makePolicy(wanted, tokens).policy,
): PolicySpec {
  if (!spec.kind.keeps || spec.keep || maxCacheBytes === undefined) return spec;
  const policy = (rows: number) => make({ ...spec, keep: { rows } });
  const { keep } = fit({ model, tokens, maxTokens, maxCacheBytes, policy, ...(chunk === undefined ? {} : { chunk }) });
  return { ...spec, keep: { rows: keep } };
}
