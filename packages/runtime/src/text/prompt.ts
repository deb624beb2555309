import { RequestError, show } from "../error.js";
import type { Model } from "../model.js";
import { checkVariables, type Message } from "./messages.js";

/** What a model is given to read: text as it is, chat messages (put into the model's template), or token ids. */
export type Prompt = string | readonly Message[] | readonly number[] | Int32Array;

const isIds = (prompt: Prompt): prompt is readonly number[] | Int32Array =>
  prompt instanceof Int32Array || (Array.isArray(prompt) && typeof prompt[0] === "number");

/** Whether a prompt is chat messages. */
export const isChat = (prompt: Prompt): prompt is readonly Message[] => Array.isArray(prompt) && !isIds(prompt);

export interface EncodePromptOptions {
  readonly signal?: AbortSignal | undefined;
  /** Whether nothing was read before, so that a text begins with what the tokenizer puts there. Default true. */
  readonly first?: boolean;
  /** Variables for the chat template. */
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Encodes a prompt in slices of a few milliseconds, between which the thread is free. Text and message contents never
 * become special tokens. Rejects with a `RequestError`, `TokenizerError` or `TemplateError`.
 */
export async function encodePrompt(
  model: Model,
  prompt: Prompt,
  options: EncodePromptOptions = {},
): Promise<readonly number[]> {
  checkVariables(options.templateVariables);
  const ids = await toIds(model, prompt, options);
  if (ids.length === 0) throw new RequestError("the prompt is empty; it must have at least one token");
  checkIds(model, ids);
  return ids;
}

/** Throws a `RequestError` for an id that the model's embedding lacks, as that of a token that was added later. */
export function checkIds(model: Model, ids: readonly number[]): void {
  const { vocabularySize } = model.facts;
  const at = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0 || id >= vocabularySize);
  if (at >= 0)
    throw new RequestError(
      `the prompt holds token ${show(ids[at])} at ${at}; ${model.name} has tokens 0 to ${vocabularySize - 1}`,
    );
}

async function toIds(
  model: Model,
  prompt: Prompt,
  { first = true, templateVariables: variables, signal }: EncodePromptOptions,
): Promise<readonly number[]> {
  if (typeof prompt !== "string" && !Array.isArray(prompt) && !(prompt instanceof Int32Array)) {
    throw new RequestError(`the prompt is ${show(prompt)}; it must be text, chat messages or token ids`);
  }
  if (prompt.length === 0) return [];
  if (isIds(prompt)) return [...prompt];
  if (!model.tokenizer) throw new RequestError(`${model.name} has no tokenizer; give the prompt as token ids`);
  if (typeof prompt === "string") return model.tokenizer.encodeAsync(prompt, { addSpecialTokens: first, signal });
  if (!model.chat) throw new RequestError(`${model.name} has no chat template; give the prompt as text or token ids`);
  return model.chat.promptAsync(prompt, { variables, signal });
}
