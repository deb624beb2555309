import { createReadStream } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import type { Model, Tokenizer } from "@ziggurat/runtime";
import { isAbort, quote, UsageError } from "./error.js";
import { signal } from "./signal.js";

/** A text and a question about it. */
export interface Document {
  readonly text: string;
  readonly question?: string;
  /** The right answer, if it is known. */
  readonly expected?: string;
}

/** A document as a model reads it. */
export interface EncodedDocument extends Document {
  readonly ids: readonly number[];
  /** How many of the ids come before the question. */
  readonly before: number;
  /** Ids of the text that follows, if that is scored instead of a question answered. */
  readonly following?: readonly number[];
}

/** More than any model reads; where an endless input ends. */
const mostBytes = 64e6;

/**
 * The text of a file, or of stdin for `-`. Rejects with a `UsageError` if it cannot be read, is longer than 64 MB, is
 * not UTF-8 or holds nothing.
 */
export async function readText(flag: string, path: string): Promise<string> {
  const name = path === "-" ? "stdin" : quote(path);
  if (path === "-" && process.stdin.isTTY) process.stderr.write("reading the text from the keyboard; ctrl-D ends it\n");
  const stream: Readable = addAbortSignal(signal, path === "-" ? process.stdin : createReadStream(path));
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > mostBytes)
        throw new UsageError(`${flag}: ${name} is longer than ${mostBytes / 1e6} MB, which no model reads; shorten it`);
    }
  } catch (error) {
    if (error instanceof UsageError || isAbort(error)) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : message;
    throw new UsageError(`${flag}: ${name} cannot be read: ${reason}; name a text file, or - for stdin`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new UsageError(`${flag}: ${name} is no UTF-8 text`);
  }
  if (text.trim() === "") throw new UsageError(`${flag}: ${name} is empty; it must hold some text`);
  return text;
}

const shared = (a: readonly number[], b: readonly number[]): number => {
  const end = a.findIndex((id, at) => id !== b[at]);
  return end < 0 ? a.length : end;
};

/** The first `tokens` tokens of a text, as text; all of a shorter one. */
function firstTokens(tokenizer: Tokenizer, text: string, tokens: number): string {
  const ids = tokenizer.encode(text);
  // A character that is cut in its middle becomes U+FFFD.
  return ids.length <= tokens ? text : tokenizer.decode(ids.slice(0, tokens)).replace(/\ufffd+$/, "");
}

export interface EncodeFlags {
  /** Whether the text is given to the model as it is, without its chat template. */
  readonly raw?: boolean | undefined;
  /** How many tokens of the text are read, at most. Default: all. */
  readonly tokens?: number | undefined;
  /** Variables of the chat template. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * One user message: the text, a newline and the question, in the model's template. Without the template if the model
 * has none, or with `raw`. What comes before the question is what the ids share with those of the text alone.
 */
export function encodeDocument(
  model: Model,
  document: Document,
  { raw, tokens, variables }: EncodeFlags = {},
): EncodedDocument {
  const { chat, tokenizer } = model;
  if (!tokenizer) throw new UsageError(`--model: ${model.name} has no tokenizer.json, and so reads no text`);
  const { question } = document;
  const text = tokens === undefined ? document.text : firstTokens(tokenizer, document.text, tokens);
  const whole = question === undefined ? text : `${text}\n${question}`;
  const encode = (content: string): number[] =>
    chat && !raw
      ? chat.prompt([{ role: "user", content }], { variables })
      : tokenizer.encode(content, { addSpecialTokens: true });
  const ids = encode(whole);
  return { ...document, text, ids, before: Math.min(shared(encode(text), ids), ids.length - 1) };
}

/** Tokens of a text that are read, and of what follows that are scored, without --tokens and --score. */
const usual = { tokens: 4096, score: 512 };

/**
 * The first tokens of a text as the prompt, and those that follow, without a template. Of a text that is too short for
 * the usual lengths the last eighth is scored. Throws a `UsageError` if nothing is left to read or to score.
 */
export function encodeStretch(
  model: Model,
  text: string,
  flags: { readonly tokens?: number; readonly score?: number },
): EncodedDocument {
  const { tokenizer, facts } = model;
  if (!tokenizer) throw new UsageError(`--model: ${model.name} has no tokenizer, and so reads no text`);
  const ids = tokenizer.encode(text, { addSpecialTokens: true });
  const most = Math.min(ids.length, facts.contextLength);
  const tokens =
    flags.tokens ??
    Math.min(usual.tokens, most - Math.min(flags.score ?? usual.score, Math.max(1, Math.floor(most / 8))));
  const following = ids.slice(tokens, tokens + (flags.score ?? Math.max(0, Math.min(usual.score, most - tokens))));
  if (tokens < 1 || following.length === 0) {
    const right = `--tokens must leave some to follow: at most ${most - 1}`;
    throw new UsageError(
      `--text: of ${ids.length} tokens, ${model.name} reading ${facts.contextLength}, none follow the first ${tokens}; ${right}`,
    );
  }
  return { text, ids: ids.slice(0, tokens), before: tokens, following };
}
