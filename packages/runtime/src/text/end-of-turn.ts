import type { Chat } from "./chat.js";
import type { Tokenizer } from "./tokenizer.js";

/**
 * Tokens that end a turn or a text in models of many families, by their names (llama.cpp's llama-vocab.cpp stops at
 * these too).
 */
export const endOfTurnNames: readonly string[] = [
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<|flush|>",
  "<|calls|>",
  "<end_of_turn>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|eom_id|>",
  "< EOT >",
  "_<EOT>",
  "<EOT>",
  "[EOT]",
  "[EOS]",
  "<end_of_utterance>",
  "<｜end▁of▁sentence｜>",
  "<|END_OF_TURN_TOKEN|>",
];

/**
 * Tokens that end an answer: those that the model's and the tokenizer's files name, and the special token that the chat
 * template writes after what an assistant said. `vocabularySize` is that of the embedding: the model never writes a
 * token beyond it.
 */
export function endTokensOf(
  named: readonly number[],
  vocabularySize: number,
  tokenizer: Tokenizer | undefined,
  chat: Chat | undefined,
): number[] {
  const ends = [...named, ...(tokenizer?.endTokens ?? []), ...(tokenizer && chat ? afterAnswer(tokenizer, chat) : [])];
  return [...new Set(ends)].filter((id) => id >= 0 && id < vocabularySize);
}

/** The special tokens that a template writes next after an assistant's content, at the end of a chat and within. */
function afterAnswer(tokenizer: Tokenizer, chat: Chat): number[] {
  const user = { role: "user", content: "a question" };
  const answer = { role: "assistant", content: "one answer of its own" };
  const ends: number[] = [];
  for (const messages of [
    [user, answer],
    [user, answer, user],
  ]) {
    let text: string;
    try {
      text = chat.render(messages, { generationPrompt: false }).text;
    } catch {
      // The template needs other messages, or cannot be used.
      continue;
    }
    const at = text.lastIndexOf(answer.content);
    if (at < 0) continue;
    const rest = text.slice(at + answer.content.length).trimStart();
    const found = tokenizer.specialTokens.find((special) => rest.startsWith(special));
    const id = found === undefined ? undefined : tokenizer.idOf(found);
    if (id !== undefined) ends.push(id);
  }
  return ends;
}

/** Ids of stop texts that are special tokens: such a token is never part of the text. */
export function stopIdsOf(tokenizer: Tokenizer | undefined, stop: readonly string[], vocabularySize: number): number[] {
  return stop.flatMap((text) => {
    const id = tokenizer?.idOf(text);
    return id !== undefined && id < vocabularySize && tokenizer!.isSpecial(id) ? [id] : [];
  });
}
