import { expect, it } from "vitest";
import { repeatsRepeats } from "../src/text/backtracking.js";

it.each([
  "(a+)+",
  "(?:a*)*b",
  "((a{2,})b?)+",
  "(a|b+){3,}",
  "(x(\\p{L}+)){12}",
  "([\\])]+)*",
  "(?=(a+)+)",
  "a(b(c+d)?)*",
  "(a+){1,99}",
])("%s repeats repeats", (source) => {
  expect(repeatsRepeats(source)).toBe(true);
});

// The patterns that tokenizers in use have.
it.each([
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s+",
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s+",
  " ?[^(\\s|[.,!?…。，、।۔،])]+",
  "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?:\\P{N}|$))",
  "(?:\\r?\\n)+",
  "(",
  "a)+*",
])("%s does not", (source) => {
  expect(repeatsRepeats(source)).toBe(false);
});
