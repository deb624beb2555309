import { pebble, words } from "@ziggurat/pebble";
import { openModel, type Tokenizer } from "@ziggurat/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import {
  type Haystack,
  HaystackError,
  haystack,
  isRight,
  type Material,
  material,
  type Task,
  tasks,
} from "../src/haystack/index.js";

let tokenizer: Tokenizer;
let from: Material;
beforeAll(async () => {
  tokenizer = (await (await openModel(pebble())).tokenizer())!;
  from = await material();
});
const length = (text: string) => tokenizer.encode(text).length;
const make = (task: Task, tokens: number, seed: number, needles?: number): Haystack =>
  haystack({ task, tokens, seed, material: from, length, ...(needles === undefined ? {} : { needles }) });
const seeds = Array.from({ length: 12 }, (_, i) => i * 7919);

describe.each(tasks)("%s", (task) => {
  it.each([128, 512, 2048])("fills %d tokens, and no more", (tokens) => {
    for (const seed of seeds) {
      const { text, question, messages } = make(task, tokens, seed, 2);
      expect(messages).toEqual([{ role: "user", content: `${text}\n${question}` }]);
      const count = length(messages[0]!.content);
      expect(count, `seed ${seed}`).toBeLessThanOrEqual(tokens);
      expect(count, `seed ${seed}`).toBeGreaterThan(tokens - 80);
    }
  });
  it("is made of its seed alone", () => {
    expect(make(task, 600, 5)).toEqual(make(task, 600, 5));
    expect(make(task, 600, 5)).not.toEqual(make(task, 600, 6));
  });
  it("holds the answer", () => {
    for (const seed of seeds) {
      const { text, answer, question } = make(task, 700, seed);
      expect(text.includes(answer), `seed ${seed}: ${question}`).toBe(true);
      expect(answer).toBe(answer.trim());
    }
  });
});

describe("needle", () => {
  it("says the answer once", () => {
    for (const seed of seeds) {
      const { text, question, answer } = make("needle", 1500, seed);
      expect(text.split(answer).length, `seed ${seed}: ${question}`).toBe(2);
    }
  });
  it("asks for numbers, cities and jobs", () => {
    const questions = Array.from({ length: 60 }, (_, seed) => make("needle", 128, seed).question).join(" ");
    expect(questions).toMatch(/secret code|magic number|pass key/);
    expect(questions).toMatch(/live|home/);
    expect(questions).toMatch(/job|work as/);
  });
  it("hides several facts, of different keys", () => {
    const { text } = make("needles", 4000, 3, 40);
    expect(
      text.match(/secret code|magic number|pass key|lives in|home of|works as|job of/g)!.length,
    ).toBeGreaterThanOrEqual(40);
  });
});

describe("table", () => {
  it("asks for a key of the table, whose words Pebble was not trained on", async () => {
    const trained = new Set((await words()).train);
    for (const seed of seeds) {
      const { text, question, answer } = make("table", 900, seed);
      const rows = text
        .split("\n")
        .map((line) => /^(?:"|line )?([\w-]+)"?(?::|,) (?:REGISTER_CONTENT is <|")?(\d+)/.exec(line)!);
      const found = rows.filter(
        ([, key]) =>
          question.includes(key!) && question.replace(key!, "").match(/^(What is the value of \?|Look up \.|Key: |)$/),
      );
      expect(
        found.map(([, , value]) => value),
        `seed ${seed}: ${question}`,
      ).toEqual([answer]);
      expect(new Set(rows.map(([, key]) => key)).size).toBe(rows.length);
      for (const [, key] of rows) for (const word of key!.split("-")) expect(trained.has(word), word).toBe(false);
    }
  });
});

describe("labels", () => {
  it("shows the class that is asked for, each with one label", () => {
    for (const seed of seeds) {
      const { text, question, answer } = make("labels", 900, seed);
      const then = question.split("\n")[1]!;
      const shown = text
        .split("\n")
        .filter((line) => line.startsWith(then))
        .map((line) => line.slice(then.length).trim());
      expect(shown, `seed ${seed}`).toContain(answer);
      expect(question.split("\n").length).toBe(2);
    }
  });
});

describe("what cannot be made", () => {
  it.each([
    [{ tokens: 127 }, /tokens is 127; it must be a whole number from 128 to/],
    [{ tokens: Number.NaN }, /tokens is NaN/],
    [{ tokens: 1000.5 }, /tokens is 1000\.5/],
    [{ seed: 0.5 }, /seed is 0\.5/],
    [{ needles: 0 }, /needles is 0; it must be a whole number from 1 to 15/],
    [{ needles: 1000 }, /needles is 1000/],
    [{ task: "poem" as Task }, /task is poem; it must be one of needle, needles, table, labels/],
    [{ material: { paragraphs: [], words: [] } }, /no paragraphs/],
  ])("refuses %j", (wrong, message) => {
    const run = () => haystack({ task: "needles", tokens: 1000, seed: 1, material: from, length, ...wrong });
    expect(run).toThrow(message);
    expect(run).toThrow(HaystackError);
  });
});

it("takes an answer for right that differs in white space around it only", () => {
  expect(isRight(" 42\n", "42")).toBe(true);
  expect(isRight("421", "42")).toBe(false);
  expect(isRight("", "42")).toBe(false);
});
