import { describe, expect, it } from "vitest";
import { Writer } from "../src/engine/writer.js";
import { makeTokenizer } from "../src/text/tokenizer.js";
import { random } from "./random.js";

const tokens = ["a", "b", "ab", "ba", "aba", "bb", "aabb", "c", "<e>"];
const tokenizer = makeTokenizer({
  model: { type: "WordLevel", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), unk_token: "c" },
  decoder: { type: "Fuse" },
  added_tokens: [{ id: 8, content: "<e>", special: true, normalized: false }],
});
const writer = (stopStrings: readonly string[]) =>
  new Writer({ tokenizer, stopTokens: [8], stopStrings, most: 100, mostReason: "length" });
const write = (ids: readonly number[], stopStrings: readonly string[]) => {
  const made = writer(stopStrings);
  const given: string[] = [];
  for (const id of ids) {
    if (made.finishReason) break;
    given.push(made.push(id));
  }
  return { text: made.text, given: given.join(""), finishReason: made.finishReason, count: made.ids.length };
};

describe("a stop string", () => {
  it("may be split over tokens", () =>
    expect(write([0, 0, 1, 7], ["ab"])).toEqual({ text: "a", given: "a", finishReason: "stop", count: 3 }));
  it("may stand with another in one token: the first place counts", () => {
    expect(write([7, 6], ["bb", "ab"]).text).toBe("ca");
    expect(write([7, 6], ["ab", "bb"]).text).toBe("ca");
    expect(write([7, 6], ["abb", "aa"]).text).toBe("c");
  });
  it("may begin with another", () => expect(write([0, 1, 1], ["abb", "ab"]).text).toBe(""));
  it("that only begins is part of the text in the end", () =>
    expect(write([7, 0, 8], ["ab"])).toEqual({ text: "ca", given: "ca", finishReason: "stop", count: 2 }));
  it("ends the text where it first stands whole, whatever the tokens", () => {
    const next = random(5);
    const pick = () => Math.floor(next() * 8);
    for (let round = 0; round < 2000; round++) {
      const ids = Array.from({ length: 1 + pick() }, pick);
      const stops = [1, 2].map(() => Array.from({ length: 1 + (pick() % 3) }, () => tokens[pick() % 3]).join(""));
      let text = "";
      let wanted: string | undefined;
      for (const id of ids) {
        text += tokens[id];
        const places = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
        if (places.length > 0) {
          wanted = text.slice(0, Math.min(...places));
          break;
        }
      }
      const { text: got, given } = write([...ids, 8], stops);
      expect(got, `${ids} with ${stops}`).toBe(wanted ?? text);
      expect(given).toBe(got);
    }
  });
});
