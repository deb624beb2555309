import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Pattern } from "../src/text/regex/pattern.js";
import { PatternError } from "../src/text/regex/syntax.js";
import { makeTokenizer } from "../src/text/tokenizer.js";
import { drain } from "../src/text/tokenizers/field.js";

interface Fixture {
  readonly patterns: readonly (readonly [
    pattern: string,
    rows: readonly (readonly [text: string, pieces: string])[],
  ])[];
}
const { patterns } = JSON.parse(readFileSync(new URL("fixtures/patterns.json", import.meta.url), "utf8")) as Fixture;

/** The pieces that matches cut a text into, with bars between. */
function cut(pattern: Pattern, text: string): string {
  const places = [0, ...drain(pattern.find(text)), text.length];
  const pieces = places.slice(1).map((end, i) => text.slice(places[i], end));
  return pieces.filter((piece) => piece !== "").join("|");
}

// fixtures/patterns.py made them: random patterns, and what the reference library's Split makes of texts with them.
it("random patterns match as in Oniguruma, or are refused by name", () => {
  let refused = 0;
  const wrong: string[] = [];
  for (const [source, rows] of patterns) {
    let pattern: Pattern;
    try {
      pattern = new Pattern(source);
    } catch (error) {
      expect(error).toBeInstanceOf(PatternError);
      refused++;
      continue;
    }
    for (const [text, pieces] of rows)
      if (cut(pattern, text) !== pieces) wrong.push(`${source} on ${JSON.stringify(text)}`);
  }
  expect(wrong).toEqual([]);
  expect(patterns.length - refused).toBeGreaterThan(300);
});

describe("time grows with the text alone", () => {
  // Each takes exponential or quadratic time in an engine that backtracks.
  it.each([
    ["(a+)+$", "a", "!"],
    ["(?:a|aa)+$", "a", "!"],
    ["a*a*a*a*a*b", "a", "!"],
    ["(?:\\w+\\s?)*$".replace("*$", "+$"), "ab ", "!"],
    ["\\s+$", " ", "x"],
    ["a.*b|a", "a", ""],
    ["(?=a*b)a|a", "a", ""],
    ["(?<=a*)b", "a", "b"],
  ])("%s", (source, repeated, end) => {
    const text = repeated.repeat(300_000 / repeated.length) + end;
    const pattern = new Pattern(source);
    let pauses = 0;
    const steps = pattern.find(text);
    while (!steps.next().done) pauses++;
    // The passes, and the walk, are a fixed number of times over the text.
    expect(pauses).toBeLessThan(200);
  });
  it("in a normalizer too", () => {
    const tokenizer = makeTokenizer({
      model: { type: "BPE", vocab: { a: 0, "!": 1, x: 2 }, merges: [] },
      normalizer: { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "x" },
    });
    expect(tokenizer.encode(`${"a".repeat(100_000)}!`).length).toBe(100_001);
    expect(tokenizer.encode("a".repeat(100_000))).toEqual([2]);
  });
});

it.each([
  ["(", /a group is not closed at 1/],
  ["a)", /a group is closed that was not opened at 1/],
  ["[a", /a set is not closed/],
  ["*", /a repetition of nothing/],
  ["(a)\\1", /the escape "\\\\1", which is not supported/],
  ["(?:a*)*", /a repetition of what may be empty/],
  ["(?:ab)++", /a possessive repetition of more than one character/],
  ["(?>ab|a)c", /an atomic group of more than a repeated character/],
  ["(?i:ss)", /"ss" without regard to case/],
  ["(?s).", /an option or kind of group that is not supported/],
  ["\\p{Nonsense}", /the property "Nonsense", which is not supported/],
  ["\\X", /the escape "\\\\X"/],
  ["a{2,1}", /a repetition has its ends turned round/],
  ["[b-a]", /a range has its ends turned round/],
  ["(?:a{100}){100}", /more than 4000 parts once written out/],
  ["(".repeat(5000), /groups are nested too deep/],
  ["[".repeat(5000), /sets are nested too deep/],
])("refuses %s", (source, message) => {
  expect(() => new Pattern(source)).toThrow(message);
  expect(() => new Pattern(source)).toThrow(PatternError);
});

it("refuses to build states without end", () => {
  const pattern = new Pattern(`(?:a|b)*a${"(?:a|b)".repeat(16)}c`);
  const text = Array.from({ length: 60_000 }, (_, i) => ((i * i * 7919) % 13 < 6 ? "a" : "b")).join("");
  let error: unknown;
  try {
    drain(pattern.find(`${text}c${text}`));
  } catch (thrown) {
    error = thrown;
  }
  if (error !== undefined) expect(error).toBeInstanceOf(PatternError);
});
