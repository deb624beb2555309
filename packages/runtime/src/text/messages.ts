import { RequestError, show, TemplateError } from "../error.js";
import { isRecord } from "../files/files.js";

/** A part of a message's content. Models here read text alone. */
export interface TextPart {
  readonly type: "text";
  readonly text: string;
  readonly [field: string]: unknown;
}

/**
 * One message of a chat. Fields other than these, such as `tool_calls`, `tool_call_id`, `name` or `reasoning_content`,
 * reach the chat template as they are; they must be JSON.
 */
export interface Message {
  /** As a rule "system", "user", "assistant" or "tool"; the template says which it takes. */
  readonly role: string;
  /** Null or left out if the message has only other fields, such as an assistant's tool calls. */
  readonly content?: string | readonly TextPart[] | null;
  readonly [field: string]: unknown;
}

/** Levels of lists and objects that a message or variable may have. */
const deepest = 64;

/** Checks messages from outside. Throws {@link TemplateError}. `what` names them in errors. */
export function checkMessages(messages: readonly Message[], what: string): void {
  if (!Array.isArray(messages) || messages.length === 0)
    throw new TemplateError(`${what}: ${show(messages)}; there must be one at least`);
  for (const [i, message] of (messages as readonly unknown[]).entries()) {
    const at = `${what}: number ${i}`;
    if (!isRecord(message)) throw new TemplateError(`${at} is ${show(message)}; it must be an object with a role`);
    const { role, content, ...more } = message;
    // The role is written by the template as it stands.
    if (typeof role !== "string" || !/^[\w .-]{1,64}$/.test(role))
      throw new TemplateError(`${at} has the role ${show(role)}; it must be a word such as "user"`);
    const isEmpty = content === undefined || content === null;
    if (isEmpty && Object.values(more).every((value) => value === undefined || value === null))
      throw new TemplateError(`${at} has the content ${show(content)}; it must be a string or a list of text parts`);
    if (Array.isArray(content)) {
      for (const [j, part] of content.entries()) {
        if (!isRecord(part) || part.type !== "text" || typeof part.text !== "string")
          throw new TemplateError(
            `${at} has the part ${show(part)} as number ${j} of its content; it must be {"type":"text","text":"..."}`,
          );
      }
    } else if (!isEmpty && typeof content !== "string")
      throw new TemplateError(`${at} has the content ${show(content)}; it must be a string or a list of text parts`);
    checkJson({ ...more, content }, at, TemplateError);
  }
}

/** Names that templates are given by the runtime and callers cannot set. */
const ownVariables = ["messages", "add_generation_prompt"];

/** Checks a caller's variables for a template. Throws a `RequestError`. */
export function checkVariables(variables: Readonly<Record<string, unknown>> | undefined): void {
  if (variables === undefined) return;
  if (!isRecord(variables))
    throw new RequestError(`templateVariables is ${show(variables)}; it must be an object of names and values`);
  for (const name of Object.keys(variables)) {
    if (ownVariables.includes(name))
      throw new RequestError(`templateVariables has ${name}, which is set by the runtime`);
    if (!/^[A-Za-z_]\w*$/.test(name))
      throw new RequestError(`templateVariables has the name ${show(name)}; it must be a name such as enable_thinking`);
  }
  checkJson(variables, "templateVariables", RequestError);
}

/** Values in one message, or in the variables: an object that is in many places counts at each. */
const mostValues = 2 ** 20;

function checkJson(
  value: unknown,
  what: string,
  Failure: new (message: string) => Error,
  depth = 0,
  count = { left: mostValues },
): void {
  if (--count.left < 0) throw new Failure(`${what} has more than ${mostValues} values`);
  if (depth > deepest) throw new Failure(`${what} has more than ${deepest} levels of lists and objects`);
  if (value === undefined || value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (Array.isArray(value)) for (const item of value) checkJson(item, what, Failure, depth + 1, count);
  else if (isRecord(value)) for (const item of Object.values(value)) checkJson(item, what, Failure, depth + 1, count);
  else throw new Failure(`${what} holds ${show(value)}, which is no JSON`);
}

/** The text of a content: its parts with line ends between. */
export const textOf = ({ content }: Message): string =>
  typeof content === "string" ? content : (content ?? []).map(({ text }) => text).join("\n");

/** Every string within a JSON value, keys included, as `change` makes it. */
export function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [change(key), mapStrings(item, change)]));
}

/** Fields that reasoning is passed under, the standard one first (transformers' chat_template_utils.py). */
const reasoningFields = ["reasoning_content", "thinking", "reasoning"];

/**
 * A message as transformers passes it to a template: without fields that are null, reasoning under each of its names.
 */
export function asPassed(message: Message): Record<string, unknown> {
  const passed = Object.fromEntries(
    Object.entries(message).filter(([, value]) => value !== null && value !== undefined),
  );
  const reasoning = reasoningFields.map((field) => passed[field]).find((value) => value !== undefined);
  return reasoning === undefined ? passed : { thinking: reasoning, ...passed, reasoning_content: reasoning };
}

/** A private-use character that no text here holds, so that it can mark a place. */
export function unusedCharacter(values: readonly unknown[], taken: readonly string[] = []): string {
  const all = JSON.stringify(values);
  for (let code = 0xf8ff; code >= 0xe000; code--) {
    const character = String.fromCharCode(code);
    if (!taken.includes(character) && !all.includes(character)) return character;
  }
  throw new TemplateError("the messages hold every private-use character; two must be free");
}
