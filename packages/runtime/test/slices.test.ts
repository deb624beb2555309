import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { makeTokenizer } from "../src/text/tokenizer.js";

const pebble = (file: string) =>
  JSON.parse(readFileSync(new URL(`../../pebble/files/${file}`, import.meta.url), "utf8"));
const byteLevel = makeTokenizer(pebble("tokenizer.json"), pebble("tokenizer_config.json"));
/** Without a pre-tokenizer a text is one piece. */
const onePiece = makeTokenizer({
  model: { type: "BPE", vocab: { a: 0, b: 1, aa: 2, aaaa: 3, ab: 4 }, merges: ["a a", "aa aa", "a b"] },
});
const unigram = makeTokenizer({
  model: {
    type: "Unigram",
    unk_id: 0,
    vocab: [
      ["<unk>", 0],
      ["a", -1],
      ["aa", -1.5],
      ["b", -2],
    ],
  },
  normalizer: { type: "NFKC" },
});

it.each([
  ["words", byteLevel, "Some words, 12 of them.\n"],
  ["one letter", byteLevel, "a"],
  ["spaces", byteLevel, " "],
  ["one piece", onePiece, "aab"],
  ["a unigram model", unigram, "aab"],
])("%s: encoding leaves the thread free, and gives the same ids", async (_, tokenizer, repeated) => {
  const text = repeated.repeat(300_000 / repeated.length);
  let ticks = 0;
  const timer = setInterval(() => ticks++, 0);
  const begun = performance.now();
  const ids = await tokenizer.encodeAsync(text);
  const took = performance.now() - begun;
  clearInterval(timer);
  // A slice ends after some milliseconds; a stall would leave few turns to the timer.
  expect(ticks).toBeGreaterThan(took / 200);
  expect(ids).toEqual(tokenizer.encode(text));
});

it("encoding hears the signal between two slices", async () => {
  const controller = new AbortController();
  const encoding = byteLevel.encodeAsync("Some words, 12 of them.\n".repeat(60_000), { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")), 20);
  await expect(encoding).rejects.toThrow("enough");
  await expect(byteLevel.encodeAsync("a", { signal: AbortSignal.abort(new Error("never")) })).rejects.toThrow("never");
});
