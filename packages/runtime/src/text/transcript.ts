import { RequestError, TemplateError } from "../error.js";
import type { Model } from "../model.js";
import type { Chat } from "./chat.js";
import type { Message } from "./messages.js";
import { textOf } from "./messages.js";
import { checkIds, encodePrompt, isChat, type Prompt } from "./prompt.js";
import type { Tokenizer } from "./tokenizer.js";

/** What a prompt adds to a session. */
export interface Turn {
  /** Ids that the model reads next. */
  readonly ids: readonly number[];
  /**
   * Whether `ids` are the whole conversation, for an empty cache: the chat template writes what was read in another way
   * now, as templates do that leave out earlier reasoning or move the system prompt.
   */
  readonly isAnew: boolean;
  /** The chat after the prompt; undefined for text and ids. */
  readonly chat: { readonly messages: readonly Message[]; readonly text: string; readonly mark: string } | undefined;
  /** Whether the answer continues the last message. */
  readonly isContinued: boolean;
}

export interface TurnPrompt {
  readonly signal?: AbortSignal | undefined;
  /** Whether the assistant's message is to be written. */
  readonly answer: boolean;
  readonly templateVariables?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * What a session's model was given and wrote, in order. The ids of a chat are always those of the template over all
 * messages, with the model's own ids where its answers stand.
 */
export class Transcript {
  readonly #model: Model;
  /**
   * Ids read and written. The cache has read the first `seen` of them; the last one written waits to be read with the
   * next turn.
   */
  readonly ids: number[] = [];
  #messages: readonly Message[] = [];
  /** What was read and written as the template's text, marked; undefined once text or ids were read. */
  #text: string | undefined = "";
  #mark: string | undefined;

  constructor(model: Model) {
    this.#model = model;
  }

  copy(): Transcript {
    const copy = new Transcript(this.#model);
    for (const id of this.ids) copy.ids.push(id);
    copy.#messages = this.#messages;
    copy.#text = this.#text;
    copy.#mark = this.#mark;
    return copy;
  }

  /**
   * What a prompt adds. `seen`: ids that the cache has read. Rejects with a `RequestError`, `TemplateError` or
   * `TokenizerError`, or with the signal's reason.
   */
  async turn(prompt: Prompt, seen: number, { answer, templateVariables, signal }: TurnPrompt): Promise<Turn> {
    const unread = this.ids.slice(seen);
    const { chat, tokenizer } = this.#model;
    if (!isChat(prompt) || !chat || !tokenizer || prompt.length === 0) {
      const fresh = await encodePrompt(this.#model, prompt, {
        first: this.ids.length === 0,
        templateVariables,
        signal,
      });
      return { ids: [...unread, ...fresh], isAnew: false, chat: undefined, isContinued: false };
    }
    if (this.#text === undefined || (this.ids.length > 0 && this.#messages.length === 0))
      throw new RequestError(
        "the session has read text or ids, and so has no chat to continue; continue with text or ids",
      );
    const messages = [...this.#messages, ...prompt];
    const isContinued = answer && prompt.at(-1)!.role === "assistant";
    const { text, mark } = this.#render(chat, messages, answer, templateVariables);
    const before = this.#mark === undefined ? "" : this.#text.replaceAll(this.#mark, mark);
    const encode = (part: string) => tokenizer.encodeAsync(part, { special: true, ignore: mark, signal });
    const all = await encode(text);
    const read = text.startsWith(before) ? await encode(before) : undefined;
    const isKept = read?.every((id, at) => all[at] === id) ?? false;
    const ids = isKept ? [...unread, ...all.slice(read!.length)] : all;
    if (ids.length === 0) throw new RequestError("the chat template writes nothing more for these messages");
    checkIds(this.#model, ids);
    return { ids, isAnew: !isKept, chat: { messages, text, mark }, isContinued };
  }

  /** The text of all messages. If no answer is to follow, as much of it as stays when more messages or one do. */
  #render(
    chat: Chat,
    messages: readonly Message[],
    answer: boolean,
    variables: Readonly<Record<string, unknown>> | undefined,
  ): { readonly text: string; readonly mark: string } {
    const options = { variables, ...(this.#mark === undefined ? {} : { taken: this.#mark }) };
    if (answer) return chat.render(messages, options);
    const { text, mark } = chat.render(messages, { ...options, generationPrompt: false });
    let prompted = text;
    try {
      prompted = chat.render(messages, { ...options, generationPrompt: true }).text;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
    }
    return { text: common(text, prompted, this.#model.tokenizer!.specialTokens), mark };
  }

  /** A turn is over: `written` are the ids of its answer, `answer` their text; undefined if none was asked for. */
  add({ ids, isAnew, chat, isContinued }: Turn, seen: number, written: readonly number[] = [], answer?: string): void {
    // Ids that waited to be read are part of both.
    this.ids.length = isAnew ? 0 : seen;
    const { tokenizer } = this.#model;
    for (const id of ids) this.ids.push(id);
    for (const id of written) this.ids.push(id);
    if (!chat || !tokenizer) {
      this.#text = undefined;
      return;
    }
    const { messages, text, mark } = chat;
    this.#mark = mark;
    this.#text = text;
    this.#messages = messages;
    if (answer === undefined) return;
    this.#text += spelt(tokenizer, this.#model.chat!, ids.at(-1)!, written, mark);
    const last = messages.at(-1)!;
    this.#messages = isContinued
      ? [...messages.slice(0, -1), { ...last, content: textOf(last) + answer }]
      : [...messages, { role: "assistant", content: answer }];
  }
}

/** The text of ids that follow another, as a template would hold it: marked, but for special tokens. */
function spelt(tokenizer: Tokenizer, chat: Chat, before: number, ids: readonly number[], mark: string): string {
  let text = "";
  let last = before;
  let run: number[] = [];
  const flush = (): void => {
    if (run.length === 0) return;
    // What a decoder does to the first token of a text must not be done to these.
    const whole = tokenizer.decode([last, ...run]);
    text += chat.quote(whole.slice(tokenizer.decode([last]).length), mark);
    last = run.at(-1)!;
    run = [];
  };
  for (const id of ids) {
    if (tokenizer.isSpecial(id)) {
      flush();
      text += tokenizer.decode([id]);
      last = id;
    } else run.push(id);
  }
  flush();
  return text;
}

/** What two texts begin with, up to where it cuts through no special token of either and no character. */
function common(a: string, b: string, specials: readonly string[]): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  if (length === a.length) return a;
  if (/[\ud800-\udbff]/.test(a[length - 1] ?? "")) length--;
  for (let from = Math.max(0, length - (specials[0]?.length ?? 0)); from < length; from++) {
    const isCut = specials.some(
      (special) => from + special.length > length && (a.startsWith(special, from) || b.startsWith(special, from)),
    );
    if (isCut) return a.slice(0, from);
  }
  return a.slice(0, length);
}
