import { type Option, type Policy, PolicyError } from "@ziggurat/policy";
import { decimal, type Keep, keepAsText, parseKeep, rowsOf } from "./keep.js";
import { type ListedPolicy, policies } from "./list.js";
import { quote } from "./quote.js";

/** A policy as it was asked for, before the prompt's length is known: `snapkv:keep=12%,window=16`. */
export interface PolicySpec {
  readonly listed: ListedPolicy;
  readonly keep?: Keep;
  /** Options other than `keep`, each checked. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The value of an option, typed as text. Throws a PolicyError that names the policy and the option. */
function parseOption(policy: string, name: string, option: Option, text: string): unknown {
  if (option.kind === "choice") return option.check(policy, name, text);
  const value = decimal(text);
  if (!Number.isFinite(value)) throw new PolicyError(`${policy}: ${name} is ${quote(text)}; it must be a number`);
  return option.check(policy, name, value);
}

/** Reads one policy, `name` or `name:option=value,option=value`. Throws a PolicyError. */
export function parsePolicy(text: string): PolicySpec {
  const [name = "", ...rest] = text.trim().split(":");
  const listed = policies.find((policy) => policy.name === name);
  if (!listed) {
    const known = policies.map((policy) => policy.name).join(", ");
    throw new PolicyError(`there is no policy ${quote(name)}; there are ${known}`);
  }
  const { declared } = listed.options;
  const names = Object.keys(declared);
  const options: Record<string, unknown> = {};
  let keep: Keep | undefined;
  const given = rest.join(":");
  for (const part of given === "" ? [] : given.split(",")) {
    const at = part.indexOf("=");
    const option = part.slice(0, at).trim();
    const value = part.slice(at + 1).trim();
    if (at < 1 || option === "" || value === "")
      throw new PolicyError(`${name}: ${quote(part.trim())} is no option; write ${name}:${names[0] ?? "option"}=value`);
    if (!names.includes(option)) {
      const known = names.length === 0 ? "are none" : `are ${names.join(", ")}`;
      throw new PolicyError(`${name}: no option is called ${quote(option)}; there ${known}`);
    }
    if (option in options || (option === "keep" && keep))
      throw new PolicyError(`${name}: ${option} is given twice; give it once`);
    if (option === "keep") keep = parseKeep(`${name}: keep`, value);
    else options[option] = parseOption(name, option, declared[option]!, value);
  }
  return { listed, options, ...(keep ? { keep } : {}) };
}

/** Reads several policies between commas; a part `option=value` belongs to the policy before it. */
export function parsePolicies(text: string): PolicySpec[] {
  const specs: string[] = [];
  for (const part of text.split(",")) {
    const isOption = part.includes("=") && !part.slice(0, part.indexOf("=")).includes(":");
    const before = specs.at(-1);
    if (isOption && before !== undefined) specs[specs.length - 1] += `${before.includes(":") ? "," : ":"}${part}`;
    else specs.push(part);
  }
  return specs.map(parsePolicy);
}

/** A policy, ready for a prompt. */
export interface MadePolicy {
  /** As it is named on a command line. */
  readonly name: string;
  /** Rows per layer; undefined for a policy without a budget. */
  readonly keep: number | undefined;
  /** The budget as it was typed: `12%`. Empty for a policy without one. */
  readonly budget: string;
  readonly policy: Policy;
}

/** Makes a policy for a prompt of `tokens` tokens. Throws a PolicyError if it has no budget, or options do not fit. */
export function makePolicy({ listed, keep, options }: PolicySpec, tokens: number): MadePolicy {
  const { name } = listed;
  if (!("keep" in listed.options.declared)) return { name, keep: undefined, budget: "", policy: listed.make(options) };
  if (keep === undefined) throw new PolicyError(`${name}: how many rows? Write ${name}:keep=256, or ${name}:keep=12%`);
  const rows = rowsOf(keep, tokens, listed, options);
  return { name, keep: rows, budget: keepAsText(keep), policy: listed.make({ ...options, keep: rows }) };
}
