import { rowDTypes } from "@ziggurat/tensor";
import { type Command, InvalidArgumentError, Option } from "commander";
import { backendNames, type LoadFlags } from "./load.js";

// Flags that several commands share.

/** A whole number from `least` on, as a flag's value. */
export const whole =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number ${range}.`);
    return value;
  };

/** A number as a flag's value; whoever gets it checks its range. */
export const number = (text: string): number => {
  if (text.trim() === "" || !Number.isFinite(Number(text))) throw new InvalidArgumentError("It must be a number.");
  return Number(text);
};

const weightNames = ["f32", "bf16", "q8_0"] as const;

export type CommonFlags = LoadFlags & { readonly json?: boolean; readonly debug?: boolean };

/** Output flags, which every command has. */
export const addOutput = (command: Command): Command =>
  command
    .optionsGroup("Output:")
    .option("--json", "print one JSON value on stdout and nothing else")
    .option("--debug", "show the stack of an error");

export const modelHelp =
  "owner/name of the hub, with @revision or /file.gguf; a folder; a .gguf file; a URL of either (default: the bundled Pebble)";

/** What model to load, and where. */
export const addModel = (command: Command): Command =>
  command
    .optionsGroup("Model and machine:")
    .option("--model <model>", modelHelp)
    .addOption(new Option("--backend <name>", "where to compute").choices([...backendNames]).default("cpu"))
    .option("--threads <n>", "threads of the cpu backend (default: as many as the machine runs)", whole(1, 64))
    .addOption(new Option("--rows <dtype>", "what K and V are stored in").choices([...rowDTypes]).default("bf16"))
    .addOption(
      new Option("--weights <dtype>", "what the weights are stored in (default: as in the files)").choices([
        ...weightNames,
      ]),
    );

/** Options of policies; each policy takes those that it knows. */
export const addPolicyOptions = (command: Command): Command =>
  command
    .optionsGroup("Options of policies, the same for all that know them:")
    .option("--window <n>", "snapkv, pyramidkv: queries that vote (default 32)", number)
    .option("--kernel <n>", "snapkv, pyramidkv: rows over which votes are pooled, odd (default 7)", number)
    .addOption(new Option("--pooling <how>", "snapkv, pyramidkv: how (default max)").choices(["average", "max"]))
    .addOption(
      new Option(
        "--reduce <how>",
        "h2o, snapkv, pyramidkv: query heads of a group to one score (default mean)",
      ).choices(["mean", "max", "sum"]),
    )
    .option("--beta <n>", "pyramidkv: how steep (default 20)", number)
    .addOption(
      new Option("--rounding <how>", "pyramidkv: budgets exact, or as in the released code").choices([
        "exact",
        "released",
      ]),
    )
    .option("--sinks <n>", "streaming, sinks: first tokens that stay (default 4)", number)
    .option("--recent <n>", "h2o, random: rows for the newest (default half; 32)", number);

/** The flags of {@link addPolicyOptions} that were given. */
export function policyOptions(flags: Readonly<Record<string, unknown>>): Partial<Record<"window", number>> {
  const names = ["window", "kernel", "pooling", "reduce", "beta", "rounding", "sinks", "recent"];
  return Object.fromEntries(names.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]]));
}

export interface SamplingFlags {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: readonly string[];
}

/** How tokens are chosen and when to stop. */
export const addSampling = (command: Command): Command =>
  command
    .optionsGroup("The answer:")
    .option("--max-tokens <n>", "the longest answer", whole(1), 256)
    .option("--temperature <x>", "0 takes the likeliest token (default 0)", number)
    .option("--top-k <n>", "only the n likeliest tokens", number)
    .option("--top-p <p>", "only the likeliest tokens that reach p together", number)
    .option("--min-p <p>", "only tokens p times as likely as the likeliest", number)
    .option("--repetition-penalty <x>", "above 1 repeats less", number)
    .option("--seed <n>", "the same seed draws the same tokens", number)
    .option("--stop <text...>", "texts that end the answer");

/** The flags of {@link addSampling} that were given, without `maxTokens`; the runtime checks them. */
export function sampling({
  temperature,
  topK,
  topP,
  minP,
  repetitionPenalty,
  seed,
  stop,
}: SamplingFlags): Omit<SamplingFlags, "maxTokens"> {
  const given = { temperature, topK, topP, minP, repetitionPenalty, seed, stop };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

const megabytes = (text: string): number => {
  const value = number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number of megabytes above 0.");
  return value;
};

/** What bounds the memory. */
export const addCeiling = (command: Command): Command =>
  command
    .optionsGroup("Memory:")
    .option(
      "--max-cache-mb <mb>",
      "the most that K and V may take; a policy without keep gets as many rows as fit",
      megabytes,
    )
    .option(
      "--chunk <n>",
      "read prompts in pieces of n tokens and evict after each: bounded memory, not as published",
      whole(1),
    );
