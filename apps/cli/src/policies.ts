import { type Keep, makePolicy, type PolicySpec, parseKeep, parsePolicies, policies } from "@ziggurat/policies";
import type { Option, Policy } from "@ziggurat/policy";
import { fit, type Model } from "@ziggurat/runtime";
import { UsageError } from "./error.js";

// Policies as the flags of a command name them: --policy, --keep, and one flag for each option.

/** Option names that commands use for something else: write `random:seed=1`. */
const taken = ["keep", "seed"];

/** A flag that holds for every policy that knows the option. */
export interface SharedFlag {
  readonly name: string;
  readonly option: Option;
  /** Names of the policies that know it. */
  readonly takers: readonly string[];
  /** What it means to each of them. */
  readonly about: string;
}

const defaultOf = ({ default: value }: Option): string => {
  if (value === undefined) return "";
  const words = typeof value === "object" && value !== null ? (value as { words: string }).words : String(value);
  return ` (default ${words.replaceAll("`", "")})`;
};

/** One flag for each option that some policy declares. */
export const sharedFlags: readonly SharedFlag[] = [
  ...new Set(policies.flatMap(({ options }) => Object.keys(options.declared))),
]
  .filter((name) => !taken.includes(name))
  .map((name) => {
    const knowing = policies.filter(({ options }) => name in options.declared);
    const texts = new Map<string, string[]>();
    for (const { name: policy, options } of knowing) {
      const option = options.declared[name]!;
      const text = option.doc + defaultOf(option);
      texts.set(text, [...(texts.get(text) ?? []), policy]);
    }
    return {
      name,
      option: knowing[0]!.options.declared[name]!,
      takers: knowing.map((policy) => policy.name),
      about: [...texts].map(([text, names]) => `${names.join(", ")}: ${text}`).join("; "),
    };
  });

/** Flags of a command line that say which policies to run. */
export interface PolicyFlags {
  readonly policy?: string;
  readonly keep?: string;
  readonly [option: string]: unknown;
}

const known = ({ listed }: PolicySpec, name: string): boolean => name in listed.options.declared;
const needsKeep = (spec: PolicySpec): boolean => known(spec, "keep") && spec.keep === undefined;

/**
 * Policies with the flags that hold for all of them. Each takes those that it knows, and prefers what its own text
 * says. Throws a `UsageError` for a flag that none of them knows.
 */
export function withShared(specs: readonly PolicySpec[], flags: Readonly<Record<string, unknown>>): PolicySpec[] {
  const given = sharedFlags.filter(({ name }) => flags[name] !== undefined);
  for (const { name, takers } of given) {
    if (!specs.some((spec) => known(spec, name)))
      throw new UsageError(`--${name} is for ${takers.join(", ")}; none of those is among the policies`);
  }
  return specs.map((spec) => {
    const { name: policy, options } = spec.listed;
    const own = given.filter(({ name }) => known(spec, name));
    const checked = own.map(({ name }) => [name, options.declared[name]!.check(policy, name, flags[name])] as const);
    return { ...spec, options: { ...Object.fromEntries(checked), ...spec.options } };
  });
}

/**
 * A policy for every budget: `full` once, one that names its own `keep` once, the others once for each of `keeps`,
 * budget by budget.
 */
export function withKeeps(specs: readonly PolicySpec[], keeps: readonly Keep[]): PolicySpec[] {
  const [first, ...more] = keeps;
  if (first === undefined) return [...specs];
  return [
    ...specs.map((spec) => (needsKeep(spec) ? { ...spec, keep: first } : spec)),
    ...more.flatMap((keep) => specs.filter(needsKeep).map((spec) => ({ ...spec, keep }))),
  ];
}

/** A list such as `12%,128`. Throws a PolicyError. */
export const parseKeeps = (text: string): Keep[] => text.split(",").map((part) => parseKeep("--keep", part.trim()));

/**
 * The policies that a command line names, each once for every budget. `usual`: what runs if --policy and --keep are
 * left out. Throws a `UsageError` or a PolicyError.
 */
export function policiesOf(
  flags: PolicyFlags,
  usual: { readonly policy: string; readonly keep?: string },
): PolicySpec[] {
  const specs = withShared(parsePolicies(flags.policy ?? usual.policy), flags);
  if (flags.keep !== undefined && !specs.some(needsKeep))
    throw new UsageError("--keep is for policies without a budget of their own; none of those is among the policies");
  const keep = flags.keep ?? usual.keep;
  return withKeeps(specs, keep === undefined ? [] : parseKeeps(keep));
}

/** The one policy of a command that runs one. Throws like {@link policiesOf}. */
export function onePolicy(command: string, flags: PolicyFlags): PolicySpec {
  const specs = policiesOf(flags, { policy: "full" });
  if (specs.length > 1)
    throw new UsageError(
      `--policy and --keep name ${specs.length} policies; ${command} takes one: to compare several, use compare`,
    );
  return specs[0]!;
}

export interface Limits {
  readonly maxTokens: number;
  readonly chunk?: number;
  readonly maxCacheBytes?: number;
}

/**
 * Gives a policy without a budget the most rows that stay below the ceiling for a prompt of `tokens` tokens. Leaves it
 * as it is if there is no ceiling.
 */
export async function withCeiling(
  model: Model,
  spec: PolicySpec,
  tokens: number,
  { maxTokens, chunk, maxCacheBytes }: Limits,
  make: (spec: PolicySpec) => Policy = (wanted) => makePolicy(wanted, tokens).policy,
): Promise<PolicySpec> {
  if (!needsKeep(spec) || maxCacheBytes === undefined) return spec;
  const policy = (rows: number) => make({ ...spec, keep: { rows } });
  const { keep } = await fit({
    model,
    tokens,
    maxTokens,
    maxCacheBytes,
    policy,
    ...(chunk === undefined ? {} : { chunk }),
  });
  return { ...spec, keep: { rows: keep } };
}
