import type { Document, Order } from "./document.js";
import { classes } from "./lists.js";
import { fill, vocabulary } from "./vocabulary.js";

/** What stands before a sentence and before its label. */
const frames: readonly (readonly [sentence: string, label: string])[] = [
  ["Question: ", "Type: "],
  ["Sentence: ", "Label: "],
  ["Text: ", "Class: "],
  ["Input: ", "Output: "],
  ["", "-> "],
];

/**
 * Sentences with the labels of their classes, and one sentence whose label is asked for. A label is a word after a #,
 * so that it has the same tokens in the text, after a space, and in the answer, without one: otherwise Pebble does not
 * see that they are the same.
 */
export function labels({ r, material, tokens, line }: Order): Document {
  const v = vocabulary(r, material.words, "");
  const chosen = r.sample(Object.keys(classes), r.whole(3, 12));
  const natural = r.chance(0.35);
  const label = new Map<string, string>();
  for (const name of chosen) {
    let word = natural ? name : r.chance(0.6) ? v.word() : v.pseudo();
    while ([...label.values()].includes(`#${word}`)) word = v.pseudo();
    label.set(name, `#${word}`);
  }
  const [before, then] = r.pick(frames);
  const sentence = (name: string) => before + fill(r, r.pick(classes[name]!));
  const lines = r.chance(0.5) ? ["Give the type of the last sentence, following the examples."] : [];
  const seen = new Set<string>();
  // Room for the longest question.
  let left = tokens - 40 - lines.reduce((sum, text) => sum + line(text), 0);
  for (;;) {
    const name = r.pick(chosen);
    const example = [sentence(name), then + label.get(name)!];
    left -= example.reduce((sum, text) => sum + line(text), 0);
    if (left < 0 && seen.size > 0) break;
    lines.push(...example);
    seen.add(name);
  }
  const asked = r.pick([...seen]);
  return { text: lines.join("\n"), question: `${sentence(asked)}\n${then.trim()}`, answer: label.get(asked)! };
}
