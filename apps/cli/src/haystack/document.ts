import type { Material } from "./material.js";
import type { random } from "./random.js";

/** A text, a question about it, and the answer that is in it. */
export interface Document {
  readonly text: string;
  readonly question: string;
  readonly answer: string;
}

/** What a task's maker gets: the lines must not exceed `tokens`, the question counted with them. */
export interface Order {
  readonly r: ReturnType<typeof random>;
  readonly material: Material;
  readonly tokens: number;
  /** Tokens of a text that is one line. */
  readonly line: (text: string) => number;
}
