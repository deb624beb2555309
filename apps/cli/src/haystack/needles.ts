import type { Document, Order } from "./document.js";
import { lists } from "./lists.js";
import type { Random } from "./random.js";
import { capital, type Vocabulary, vocabulary } from "./vocabulary.js";

interface Relation {
  readonly facts: readonly string[];
  readonly questions: readonly string[];
  key(v: Vocabulary): string;
  value(r: Random): string;
}

const number = (r: Random): string => {
  const digits = r.whole(4, 7);
  return String(r.whole(10 ** (digits - 1), 10 ** digits - 1));
};

/** What can be said of a key, {k}, with its value, {v}. */
const relations: Readonly<Record<"number" | "city" | "job", readonly Relation[]>> = {
  number: [
    {
      facts: [
        "The secret code of {k} is {v}.",
        "Remember that the secret code of {k} is {v}.",
        "{k} has the secret code {v}.",
      ],
      questions: ["What is the secret code of {k}?", "Tell me the secret code of {k}."],
      key: (v) => v.anything(),
      value: number,
    },
    {
      facts: ["One of the special magic numbers for {k} is: {v}.", "The special magic number for {k} is {v}."],
      questions: [
        "What is the special magic number for {k} mentioned in the provided text?",
        "Which magic number belongs to {k}?",
      ],
      key: (v) => v.anything(),
      value: number,
    },
    {
      facts: ["The pass key of {k} is {v}. Remember it.", "The pass key is {v} for {k}."],
      questions: ["What is the pass key of {k}?"],
      key: (v) => v.anything(),
      value: number,
    },
  ],
  city: [
    {
      facts: ["{k} lives in {v}.", "The home of {k} is in {v}."],
      questions: ["Where does {k} live?", "In which city is the home of {k}?"],
      key: (v) => v.name(),
      value: (r) => r.pick(lists.CITIES),
    },
  ],
  job: [
    {
      facts: ["{k} works as a {v}.", "The job of {k} is that of a {v}."],
      questions: ["What is the job of {k}?", "What does {k} work as?"],
      key: (v) => v.name(),
      value: (r) => r.pick(lists.JOBS),
    },
  ],
};

const openings = [
  "Read the following text and answer the questions.",
  "Some facts are hidden in this text. Remember them.",
  "Here is a long text.",
  "Context:",
];

/** A natural text with `count` facts at random depths, one of which is asked for: a number, a city or a job. */
export function needles({ r, material, tokens, line }: Order, count: number): Document {
  const v = vocabulary(r, material.words, material.paragraphs.join(" "));
  const kinds = r.sample(["number", "city", "job"] as const, 3);
  const keys = new Set<string>();
  const facts = Array.from({ length: count }, (_, i) => {
    const relation = r.pick(relations[kinds[i % 3]!]);
    let key = relation.key(v);
    // No key may be a part of another, or a question would have two answers.
    while ([...keys].some((other) => other.includes(key) || key.includes(other)))
      key = `${relation.key(v)}${keys.size > 500 ? v.pseudo() : ""}`;
    keys.add(key);
    const value = relation.value(r);
    const put = (pattern: string) => pattern.replace("{k}", () => key).replace("{v}", () => value);
    return { sentence: capital(put(r.pick(relation.facts))), question: put(r.pick(relation.questions)), value };
  });
  const asked = r.pick(facts);
  const opening = r.chance(0.5) ? [r.pick(openings)] : [];
  const fixed = [...opening, asked.question, ...facts.map(({ sentence }) => sentence)];
  const pieces = filler(r, material.paragraphs, tokens - fixed.reduce((sum, text) => sum + line(text) + 1, 0), line);
  for (const { sentence } of facts) insert(r, pieces, sentence);
  return { text: [...opening, ...pieces].join("\n"), question: asked.question, answer: asked.value };
}

/** Paragraphs of at most about `tokens` tokens, from a random one on. After the last one the first one follows. */
function filler(r: Random, paragraphs: readonly string[], tokens: number, line: (text: string) => number): string[] {
  const start = r.whole(0, paragraphs.length - 1);
  const taken: string[] = [];
  let left = tokens;
  for (let i = 0; ; i++) {
    const paragraph = paragraphs[(start + i) % paragraphs.length]!;
    const cost = line(paragraph);
    if (cost > left) {
      // The last one is cut at a word, as in training, if that leaves some text.
      const words = paragraph.split(" ");
      let [count, over] = [0, words.length];
      while (over - count > 1) {
        const middle = (count + over) >> 1;
        if (line(words.slice(0, middle).join(" ")) <= left) count = middle;
        else over = middle;
      }
      if (count > 3) taken.push(words.slice(0, count).join(" "));
      return taken;
    }
    taken.push(paragraph);
    left -= cost;
  }
}

/** Inserts a sentence as a line, or after a sentence within a paragraph. */
function insert(r: Random, pieces: string[], sentence: string): void {
  if (r.chance(0.5) && pieces.length > 0) {
    const at = r.whole(0, pieces.length - 1);
    const ends = [...pieces[at]!.matchAll(/\.(?= |$)/g)].map(({ index }) => index + 1);
    if (ends.length > 0) {
      const end = r.pick(ends);
      pieces[at] = `${pieces[at]!.slice(0, end)} ${sentence}${pieces[at]!.slice(end)}`;
      return;
    }
  }
  pieces.splice(r.whole(0, pieces.length), 0, sentence);
}
