import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import type { Model } from "@ziggurat/runtime";
import { quote, UsageError } from "./error.js";

/** A text to be read and what is asked about it. */
export interface Document {
  readonly text: string;
  readonly question?: string;
  /** The right answer, where it is known. */
  readonly expected?: string;
}

/** A document as a model reads it. */
export interface EncodedDocument extends Document {
  readonly ids: readonly number[];
  /** How many of the ids come before the question. */
  readonly before: number;
  /** Ids of the text that comes after, where that is to be scored instead of a question answered. */
  readonly following?: readonly number[];
}

/**
 * The text of a file, `-` for what comes in by stdin. Rejects with a `UsageError` where it cannot be read, is not UTF-8
 * or holds nothing.
 */
export async function readText(flag: string, path: string): Promise<string> {
  const bytes = await (path === "-" ? readStdin() : readFile(path)).catch((error: NodeJS.ErrnoException) => {
    const reason =
      error.code === "ENOENT" ? "there is no such file" : error.code === "EISDIR" ? "it is a folder" : error.message;
    throw new UsageError(`${flag}: ${quote(path)} cannot be read: ${reason}; name a text file, or - for stdin`);
  });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError(`${flag}: ${quote(path)} is no UTF-8 text`);
  }
  if (text.trim() === "")
    throw new UsageError(`${flag}: ${path === "-" ? "stdin" : quote(path)} is empty; it must hold some text`);
  return text;
}

async function readStdin(): Promise<Uint8Array> {
  if (process.stdin.isTTY) process.stderr.write("reading the text from the keyboard; ctrl-D ends it\n");
  return new TextEncoder().encode(await readAll(process.stdin));
}

const shared = (a: readonly number[], b: readonly number[]): number => {
  const end = a.findIndex((id, at) => id !== b[at]);
  return end < 0 ? a.length : end;
};

/**
 * One user message, the text, a newline and the question, in the model's template; the plain text where the model has
 * none, or with `raw`. What comes before the question is what the ids share with those of the text alone.
 */
export function encodeDocument(model: Model, document: Document, raw = false): EncodedDocument {
  const { text, question } = document;
  const whole = question === undefined ? text : `${text}\n${question}`;
  const { chat, tokenizer } = model;
  if (!tokenizer) throw new UsageError(`--model: ${model.name} has no tokenizer.json, and so reads no text`);
  const encode = (content: string): number[] =>
    chat && !raw ? chat.prompt([{ role: "user", content }]) : tokenizer.encode(content, { addSpecialTokens: true });
  const ids = encode(whole);
  return { ...document, ids, before: Math.min(shared(encode(text), ids), ids.length - 1) };
}

/** Tokens of a text that are read, and how many after them are scored, where the flags do not say. */
const usual = { tokens: 4096, score: 512 };

/**
 * The first tokens of a text as the prompt, and those that follow, as they are, in no template. Of a text that is too
 * short for the usual lengths the last eighth is scored. Throws a `UsageError` where nothing would be left to read or
 * to score.
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
