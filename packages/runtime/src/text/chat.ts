import { show, TemplateError } from "../error.js";
import { compileTemplate } from "./template.js";
import type { Tokenizer } from "./tokenizer.js";

// Chat messages to token ids. What a message says is text whatever it looks like; special tokens come from the template
// alone.

export interface Message {
  /** Whom the template knows, as a rule "system", "user" and "assistant". */
  readonly role: string;
  readonly content: string;
}

export interface Chat {
  /**
   * The ids of a whole conversation, up to where the assistant's next message starts unless `generationPrompt` is
   * false. Throws {@link TemplateError}.
   */
  prompt(messages: readonly Message[], options?: { generationPrompt?: boolean }): number[];
  /**
   * What a model that was prompted with `previous` and then answered must read before it answers again: the end of its
   * own message, `added`, and the start of its next one. Begins where the text of the answer ends, so that its first id
   * is as a rule the token that ended the answer: drop that one if the model has read it. Throws {@link TemplateError}
   * where the template would write `previous` in another way once more messages follow.
   */
  next(previous: readonly Message[], added: readonly Message[]): number[];
}

/**
 * The chat format of a tokenizer. Throws {@link TemplateError} where it has no chat template, or one that cannot be
 * parsed.
 */
export function chatOf(tokenizer: Tokenizer): Chat {
  if (tokenizer.chatTemplate === undefined)
    throw new TemplateError("the tokenizer has no chat template; prompt the model with text or token ids");
  const template = compileTemplate(tokenizer.chatTemplate);
  const render = (messages: readonly Message[], mark: string, generationPrompt: boolean): string =>
    template.render({
      ...tokenizer.named,
      messages: messages.map(({ role, content }) => ({
        role,
        content: breakSpecials(content, tokenizer.specialTokens, mark),
      })),
      add_generation_prompt: generationPrompt,
    });
  const encode = (text: string, mark: string): number[] => tokenizer.encode(text, { special: true, ignore: mark });
  return {
    prompt(messages, { generationPrompt = true } = {}) {
      checkMessages(messages, "messages");
      const mark = unused(messages);
      return encode(render(messages, mark, generationPrompt), mark);
    },
    next(previous, added) {
      checkMessages(previous, "previous messages");
      checkMessages(added, "added messages");
      const mark = unused([...previous, ...added]);
      // A word that no message holds stands for the answer, so that its place can be found.
      const answer = { role: "assistant", content: `answer${unused([...previous, ...added], mark)}` };
      const before = render(previous, mark, false);
      const after = render([...previous, answer, ...added], mark, true);
      const at = after.indexOf(answer.content);
      if (at < 0 || after.indexOf(answer.content, at + 1) >= 0) {
        throw new TemplateError(
          "the chat template does not write an answer just once when messages follow it; start a new session with all messages",
        );
      }
      if (!after.slice(0, at).startsWith(before)) {
        throw new TemplateError(
          "the chat template writes earlier messages in another way when messages follow them; start a new session with all messages",
        );
      }
      return encode(after.slice(at + answer.content.length), mark);
    },
  };
}

function checkMessages(messages: readonly Message[], what: string): void {
  if (!Array.isArray(messages) || messages.length === 0)
    throw new TemplateError(`${what}: ${show(messages)}; there must be one at least`);
  for (const [i, message] of (messages as readonly (Message | undefined)[]).entries()) {
    const at = `${what}: number ${i}`;
    if (typeof message?.content !== "string")
      throw new TemplateError(`${at} has the content ${show(message?.content)}; it must be a string`);
    // The role is written by the template as it stands.
    if (typeof message.role !== "string" || !/^[\w .-]{1,64}$/.test(message.role)) {
      throw new TemplateError(`${at} has the role ${show(message.role)}; it must be a word such as "user"`);
    }
  }
}

/** A private-use character that no message holds, other than `taken`. */
function unused(messages: readonly Message[], taken?: string): string {
  for (let code = 0xf8ff; code >= 0xe000; code--) {
    const character = String.fromCharCode(code);
    if (character !== taken && !messages.some(({ content }) => content.includes(character))) return character;
  }
  throw new TemplateError("the messages hold every private-use character; two must be free");
}

/**
 * A text with `mark` in every special token that it holds, and at its start or end where that could make a special
 * token with what the template writes there. Where a text has white space around it, the mark is within, so that a
 * template may trim.
 */
function breakSpecials(content: string, specials: readonly string[], mark: string): string {
  let text = content;
  for (const special of specials) {
    if (special.length === 1) text = text.replaceAll(special, () => mark + special + mark);
    else while (text.includes(special)) text = text.replaceAll(special, () => special[0] + mark + special.slice(1));
  }
  const inner = text.trim();
  if (inner === "") return text;
  const joins = (test: (special: string, length: number) => boolean) =>
    specials.some((special) =>
      Array.from({ length: special.length - 1 }, (_, i) => i + 1).some((length) => test(special, length)),
    );
  const start = joins((special, length) => inner.startsWith(special.slice(-length))) ? mark : "";
  const end = joins((special, length) => inner.endsWith(special.slice(0, length))) ? mark : "";
  const at = text.indexOf(inner);
  return text.slice(0, at) + start + inner + end + text.slice(at + inner.length);
}
