import { extname } from "node:path";
import { expect, test } from "vitest";
import { filesUnder, readText } from "../workspace.js";

// The part of the house style (CONTRIBUTING.md) that a test can check: lines end within 120 columns.

const columns = 120;
const kinds = [".ts", ".mjs", ".md", ".wgsl", ".cu", ".cuh", ".cc", ".h"];
// Recorded data, texts as a kernel compiler gets them, and words of other authors keep their lines.
const exempt = /(^|\/)(fixtures|snapshots|vectors|texts)\/|(^|\/)CHANGELOG\.md$|^packages\/pebble\/files\//;

/**
 * Whether a line may be longer: a row of a table, an address, a word that has no space to break at, or a string, which
 * biome does not break either.
 */
const mayBeLonger = (kind: string, line: string) => {
  const text = line.trimStart();
  if (kind === ".md" && text.startsWith("|")) return true;
  if (/https?:\/\/\S{60}/.test(text) || !text.replace(/^(\/\/|\*|-|>|\d+\.) /, "").includes(" ")) return true;
  return (kind === ".ts" || kind === ".mjs") && !/^(\/\/|\/?\*)/.test(text) && /["'`/]/.test(text);
};

function longLines(file: string): string[] {
  const kind = extname(file);
  let output = false;
  return readText(file)
    .split("\n")
    .flatMap((line, index) => {
      if (kind === ".md" && line.startsWith("```")) output = !output && line === "```text";
      return [...line].length <= columns || output || mayBeLonger(kind, line) ? [] : [`${file}:${index + 1}`];
    });
}

test("code and prose fit 120 columns", () => {
  const files = filesUnder("").filter((file) => kinds.includes(extname(file)) && !exempt.test(file));
  expect(files.length).toBeGreaterThan(300);
  expect(files.flatMap(longLines)).toEqual([]);
});

test("the check finds a long line, and lets tables, addresses, strings and output be longer", () => {
  const words = "word ".repeat(30);
  expect(mayBeLonger(".md", words)).toBe(false);
  expect(mayBeLonger(".ts", `  // a "quoted" ${words}`)).toBe(false);
  expect(mayBeLonger(".wgsl", `let x = "${words}";`)).toBe(false);
  expect(mayBeLonger(".md", `| ${words} |`)).toBe(true);
  expect(mayBeLonger(".md", `- https://forge.example/${"x".repeat(120)} and ${words}`)).toBe(true);
  expect(mayBeLonger(".ts", `  throw new Error("${words}");`)).toBe(true);
});
