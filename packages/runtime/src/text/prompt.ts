import { RequestError, show } from "../error.js";
import type { Model } from "../model.js";
import type { Message } from "./chat.js";

/** What a model is given to read: text as it is, chat messages (put into the model's template), or token ids. */
export type Prompt = string | readonly Message[] | readonly number[] | Int32Array;

const isIds = (prompt: Prompt): prompt is readonly number[] | Int32Array =>
  prompt instanceof Int32Array || (Array.isArray(prompt) && typeof prompt[0] === "number");

/** Whether a prompt is chat messages. */
export const isChat = (prompt: Prompt): prompt is readonly Message[] => Array.isArray(prompt) && !isIds(prompt);

/**
 * A prompt's token ids. Text and message contents never become special tokens. Throws a `RequestError`,
 * `TokenizerError` or `TemplateError`.
 */
export function encodePrompt(model: Model, prompt: Prompt, { first = true } = {}): number[] {
  const ids = toIds(model, prompt, first);
  if (ids.length === 0) throw new RequestError("the prompt is empty; it must have at least one token");
  const { vocabularySize } = model.facts;
  const at = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0 || id >= vocabularySize);
  if (at >= 0)
    throw new RequestError(
      `the prompt holds token ${show(ids[at])} at ${at}; ${model.name} has tokens 0 to ${vocabularySize - 1}`,
    );
  return ids;
}

function toIds(model: Model, prompt: Prompt, first: boolean): number[] {
  if (typeof prompt !== "string" && !Array.isArray(prompt) && !(prompt instanceof Int32Array)) {
    throw new RequestError(`the prompt is ${show(prompt)}; it must be text, chat messages or token ids`);
  }
  if (prompt.length === 0) return [];
  if (isIds(prompt)) return [...prompt];
  if (!model.tokenizer) throw new RequestError(`${model.name} has no tokenizer; give the prompt as token ids`);
  if (typeof prompt === "string") return model.tokenizer.encode(prompt, { addSpecialTokens: first });
  if (!model.chat) throw new RequestError(`${model.name} has no chat template; give the prompt as text or token ids`);
  return model.chat.prompt(prompt);
}
