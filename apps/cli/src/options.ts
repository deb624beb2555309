import type { Model, SamplingOptions } from "@ziggurat/runtime";
import { rowDTypes } from "@ziggurat/tensor";
import { type Command, InvalidArgumentError, Option } from "commander";
import { quote, UsageError } from "./error.js";
import { backendNames, type LoadFlags } from "./load.js";
import { sharedFlags } from "./policies.js";

// Flags that several commands share.

/** A whole number from `least` to `most` as a flag's value. */
export const whole =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = Number(text);
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number ${range}.`);
    return value;
  };

/** A number as a flag's value. Its range is checked by what uses it. */
export const number = (text: string): number => {
  if (text.trim() === "" || !Number.isFinite(Number(text))) throw new InvalidArgumentError("It must be a number.");
  return Number(text);
};

const weightNames = ["f32", "bf16", "q8_0"] as const;

export type CommonFlags = LoadFlags & { readonly json?: boolean; readonly debug?: boolean };

/** Adds a value to those that the same flag has before. */
const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

/** `name=value` as a template variable: JSON if it is JSON, a text otherwise. */
const variable = (text: string, before: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> => {
  const at = text.indexOf("=");
  const name = text.slice(0, at);
  if (at < 1 || !/^[A-Za-z_]\w*$/.test(name))
    throw new InvalidArgumentError("It must be name=value, such as enable_thinking=false.");
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`The variable ${name} is given twice.`);
  const value = text.slice(at + 1);
  try {
    return { ...before, [name]: JSON.parse(value) as unknown };
  } catch {
    return { ...before, [name]: value };
  }
};

/** Parsers of flags that may be given several times. */
const repeatable = new Set<unknown>([collect, variable]);

/** Output flags, which every command has. To be added last: refuses each flag of the command that is given twice. */
export function addOutput(command: Command): Command {
  command
    .optionsGroup("Output:")
    .option("--json", "print one JSON value on stdout and nothing else")
    .option("--debug", "show the stack of an error");
  for (const option of command.options) {
    let given = 0;
    if (!option.variadic && !repeatable.has(option.parseArg))
      command.on(`option:${option.name()}`, () => {
        if (++given > 1) command.error(`error: --${option.name()} is given twice; give it once`);
      });
  }
  return command;
}

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

export interface PolicyHelp {
  /** What --policy says in the help of this command. */
  readonly policy: string;
  readonly keep: string;
  readonly tokens: string;
}

/** --policy, --keep and --tokens, which mean the same in every command, and one flag for each option of a policy. */
export function addPolicies(command: Command, { policy, keep, tokens }: PolicyHelp): Command {
  command
    .optionsGroup("Policies and budgets:")
    .option("--policies, --policy <list>", policy)
    .option("--keep <list>", keep)
    .option("--tokens <n>", tokens, whole(1))
    .optionsGroup("Options of policies, the same for all that know them:");
  for (const { name, option, about } of sharedFlags) {
    const { choices } = option;
    const flag = new Option(`--${name} <${choices ? "how" : "n"}>`, about);
    command.addOption(choices ? flag.choices([...choices]) : flag.argParser(number));
  }
  return command;
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
  readonly stopToken?: readonly string[];
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
    .option("--stop <text...>", "texts that end the answer")
    .option(
      "--stop-token <token...>",
      'tokens that end it, beside the model\'s own: ids, or texts such as "<|im_end|>"',
    );

/**
 * What the flags of {@link addSampling} ask of `model`, without `maxTokens`; the runtime checks the numbers. Throws a
 * `UsageError` for a stop token that the model does not have.
 */
export function sampling(
  model: Model,
  { temperature, topK, topP, minP, repetitionPenalty, seed, stop, stopToken }: SamplingFlags,
): SamplingOptions & { readonly stop?: readonly string[]; readonly stopTokens?: readonly number[] } {
  const stopTokens = stopToken?.map((text) => tokenOf(model, text));
  const given = { temperature, topK, topP, minP, repetitionPenalty, seed, stop, stopTokens };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The id of a token that is named by its id or its text. */
function tokenOf({ name, tokenizer, facts }: Model, text: string): number {
  const flag = `--stop-token is ${quote(text)}`;
  if (/^\d+$/.test(text)) {
    if (Number(text) < facts.vocabularySize) return Number(text);
    throw new UsageError(`${flag}; the ids of ${name} are from 0 to ${facts.vocabularySize - 1}`);
  }
  if (!tokenizer) throw new UsageError(`${flag}; ${name} has no tokenizer, so name the token by its id`);
  const ids = tokenizer.encode(text, { special: true });
  if (ids.length === 1) return ids[0]!;
  throw new UsageError(`${flag}, which is ${ids.length} tokens of ${name}; name one token, or use --stop`);
}

export interface TemplateFlags {
  readonly templateVar?: Readonly<Record<string, unknown>>;
}

/** Variables of the chat template. */
export const addTemplate = (command: Command): Command =>
  command
    .optionsGroup("Chat template:")
    .option("--template-var <name=value>", "a variable of the template, such as enable_thinking=false", variable);

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
