import { TemplateError } from "../error.js";
import {
  asPassed,
  checkMessages,
  checkVariables,
  type Message,
  mapStrings,
  type TextPart,
  textOf,
  unusedCharacter,
} from "./messages.js";
import { quoterOf } from "./quote.js";
import { compileTemplate, type Template } from "./template.js";
import type { Tokenizer } from "./tokenizer.js";

// Chat messages to token ids, as transformers' apply_chat_template gives them, except that what a message says is text
// whatever it looks like: special tokens come from the template alone.

export interface ChatOptions {
  /**
   * Whether the assistant's next message is begun (transformers' `add_generation_prompt`). Default true, or, if the
   * last message is the assistant's, false.
   */
  readonly generationPrompt?: boolean;
  /**
   * Whether the last message is left open, so that the model continues it (transformers' `continue_final_message`).
   * Default true if the last message is the assistant's and `generationPrompt` is left out.
   */
  readonly continueFinal?: boolean;
  /**
   * Variables for the template, such as `enable_thinking`, `tools` or `documents`; JSON. Strings in tools and documents
   * are text, as messages are; in others, special tokens count.
   */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** What a template wrote. */
export interface Rendering {
  /** With `mark` in what would otherwise be a special token and is text. */
  readonly text: string;
  readonly mark: string;
}

export interface Chat {
  /** The ids of a whole conversation. Throws {@link TemplateError}, or a `RequestError` for the variables. */
  prompt(messages: readonly Message[], options?: ChatOptions): number[];
  /** As `prompt`, but encodes in slices of a few milliseconds. Rejects with the signal's reason once it is aborted. */
  promptAsync(
    messages: readonly Message[],
    options?: ChatOptions & { readonly signal?: AbortSignal | undefined },
  ): Promise<number[]>;
  /**
   * The text of a conversation before it is encoded. `taken`: text that was rendered before; its mark is used again if
   * no message holds it.
   */
  render(messages: readonly Message[], options?: ChatOptions & { readonly taken?: string }): Rendering;
  /** A text as a message would hold it, marked. */
  quote(text: string, mark: string): string;
}

/**
 * The chat format of a tokenizer. Its templates are compiled when they are first used. Throws {@link TemplateError} if
 * there is none.
 */
export function chatOf(tokenizer: Tokenizer): Chat {
  const { chatTemplates } = tokenizer;
  const names = Object.keys(chatTemplates);
  if (names.length === 0)
    throw new TemplateError("the tokenizer has no chat template; prompt the model with text or token ids");
  const compiled = new Map<string, Template>();
  const readsParts = new Map<Template, boolean>();
  const { quote } = quoterOf(tokenizer.specialTokens);

  /** The template for a conversation: transformers takes one named tool_use if there are tools. */
  function templateFor(tools: unknown): Template {
    const name = tools !== null && names.includes("tool_use") ? "tool_use" : "default";
    const source = chatTemplates[name];
    if (source === undefined)
      throw new TemplateError(`the chat templates are named ${names.join(", ")}; one must be named default`);
    let template = compiled.get(name);
    if (!template) {
      template = compileTemplate(source);
      compiled.set(name, template);
    }
    return template;
  }

  const run = (
    template: Template,
    messages: readonly unknown[],
    generationPrompt: boolean,
    variables: Readonly<Record<string, unknown>> = {},
  ): string =>
    template.render({
      ...tokenizer.named,
      tools: null,
      documents: null,
      ...variables,
      messages,
      add_generation_prompt: generationPrompt,
    });

  /** Whether a template writes a content of text parts as it writes the text. */
  function takesParts(template: Template): boolean {
    let takes = readsParts.get(template);
    if (takes === undefined) {
      const ask = (content: string | TextPart[]) => run(template, [{ role: "user", content }], false);
      try {
        takes = ask([{ type: "text", text: "a text" }]) === ask("a text");
      } catch {
        takes = false;
      }
      readsParts.set(template, takes);
    }
    return takes;
  }

  const render: Chat["render"] = (messages, { generationPrompt, continueFinal, variables = {}, taken } = {}) => {
    checkMessages(messages, "messages");
    checkVariables(variables);
    const isAnswer = messages.at(-1)!.role === "assistant";
    const isContinued = continueFinal ?? (generationPrompt === undefined && isAnswer);
    const isPrompted = generationPrompt ?? !isContinued;
    if (isContinued && isPrompted)
      throw new TemplateError(
        "generationPrompt and continueFinal are both true; one message can be begun or left open",
      );
    const values = [messages, variables];
    const mark = taken !== undefined && !JSON.stringify(values).includes(taken) ? taken : unusedCharacter(values);
    const quoted = (value: unknown) => mapStrings(value, (text) => quote(text, mark));
    const tools = variables.tools ?? null;
    const template = templateFor(tools);
    const contentOf = (message: Message): unknown =>
      Array.isArray(message.content) && takesParts(template) ? quoted(message.content) : quote(textOf(message), mark);
    // Fields keep their order, which a template may write.
    const passed = messages.map((message): { content?: unknown } =>
      Object.fromEntries(
        Object.entries(asPassed(message)).map(([field, value]) => {
          if (field === "content") return [field, contentOf(message)];
          return [field, field === "role" ? value : quoted(value)];
        }),
      ),
    );
    const all = { ...variables, tools: quoted(tools), documents: quoted(variables.documents ?? null) };
    if (!isContinued) return { text: run(template, passed, isPrompted, all), mark };
    const tag = unusedCharacter(values, [mark]);
    const text = run(template, [...passed.slice(0, -1), withTag(passed.at(-1)!, `${tag} `)], false, all);
    const at = text.lastIndexOf(tag);
    const last = passed.at(-1)!.content;
    const said = typeof last === "string" ? last : ((last ?? []) as TextPart[]).at(-1)!.text;
    // transformers refuses these as well.
    if (at < 0 || !text.includes(said.trim()) || !template.source.includes("content"))
      throw new TemplateError("the chat template leaves out the end of the last message, so it cannot be continued");
    // A template that trims takes the space behind the tag.
    return { text: text[at + 1] === " " ? text.slice(0, at) : text.slice(0, at).trimEnd(), mark };
  };

  return {
    render,
    quote,
    prompt(messages, options) {
      const { text, mark } = render(messages, options);
      return tokenizer.encode(text, { special: true, ignore: mark });
    },
    async promptAsync(messages, { signal, ...options } = {}) {
      const { text, mark } = render(messages, options);
      return tokenizer.encodeAsync(text, { special: true, ignore: mark, signal });
    },
  };
}

/** A message with a tag behind its content. */
function withTag(message: object, tag: string): object {
  const { content } = message as { content?: unknown };
  if (typeof content === "string") return { ...message, content: content + tag };
  const parts = (content ?? []) as TextPart[];
  const last = parts.at(-1);
  if (!last) throw new TemplateError("the last message has no content to go on with");
  return { ...message, content: [...parts.slice(0, -1), { ...last, text: last.text + tag }] };
}
