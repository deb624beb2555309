import type { Document, Order } from "./document.js";
import { labels } from "./labels.js";
import type { Material } from "./material.js";
import { needles } from "./needles.js";
import { random } from "./random.js";
import { table } from "./table.js";

/**
 * `needle`: one fact in a long text; `needles`: several, one asked for; `table`: keys with numbers; `labels`: sentences
 * with labels to learn from.
 */
export const tasks = ["needle", "needles", "table", "labels"] as const;
export type Task = (typeof tasks)[number];

export interface HaystackOptions {
  readonly task: Task;
  /**
   * The most tokens of text and question together; the document is as close below it as whole lines allow. At least
   * 128.
   */
  readonly tokens: number;
  /** The same seed gives the same document. */
  readonly seed: number;
  readonly material: Material;
  /** Tokens of a text. */
  length(text: string): number;
  /** Facts in a `needles` document. Default 8. */
  readonly needles?: number;
}

/** A document with a question whose answer is in it. */
export interface Haystack extends Document {
  readonly task: Task;
  /** The whole as one message: text, newline, question. */
  readonly messages: readonly { readonly role: "user"; readonly content: string }[];
}

/** Options that make no haystack. Names the option, its value and what would be right. */
export class HaystackError extends Error {
  override readonly name = "HaystackError";
}

/**
 * Makes a document of one of the kinds that Pebble was trained on (packages/pebble/training/gen.py). Throws {@link
 * HaystackError}.
 */
export function haystack({ task, tokens, seed, material, length, needles: count = 8 }: HaystackOptions): Haystack {
  const whole = (name: string, value: number, least: number, most: number) => {
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      throw new HaystackError(`${name} is ${value}; it must be a whole number from ${least} to ${most}`);
    }
  };
  whole("tokens", tokens, 128, 2 ** 24);
  whole("seed", seed, -(2 ** 53) + 1, 2 ** 53 - 1);
  if (task === "needles") whole("needles", count, 1, Math.floor(tokens / 64));
  if (material.paragraphs.length === 0 || material.words.length < 2)
    throw new HaystackError("there are no paragraphs, or too few words, to make a document of");
  const newline = length("\n");
  const order: Order = { r: random(seed), material, tokens, line: (text) => length(text) + newline };
  const make = (): Document => {
    if (task === "needle") return needles(order, 1);
    if (task === "needles") return needles(order, count);
    if (task === "table") return table(order);
    if (task === "labels") return labels(order);
    throw new HaystackError(`task is ${String(task)}; it must be one of ${tasks.join(", ")}`);
  };
  const document = make();
  return { task, ...document, messages: [{ role: "user", content: `${document.text}\n${document.question}` }] };
}

/** Whether an answer is the one expected: the same text but for white space around it. */
export const isRight = (answer: string, expected: string): boolean => answer.trim() === expected;
