import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { apps, filesUnder, packages, policies, readText, root } from "../workspace.js";

const documents = filesUnder("").filter(
  (file) => file.endsWith(".md") && !/(^|\/)(CHANGELOG\.md|fixtures\/)/.test(file),
);
const exists = (path: string) => existsSync(join(root, path));

/** Text that is a path of this repository, as far as it is not a pattern. */
const paths = (text: string) =>
  [...text.matchAll(/`((?:packages|apps|scripts|docs\/(?:decisions|policies)|\.ci|\.changeset)\/[^`\s]*)`/g)]
    .map(([, path]) => path!)
    .filter((path) => !/[<>*{]/.test(path));

test.each(documents)("%s names only files that are there", (document) => {
  const text = readText(document);
  const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, target]) =>
    join(dirname(document), target!),
  );
  // A package's README may also name its own files from its own folder.
  const named = paths(text).filter((path) => !exists(path) && !exists(join(dirname(document), path)));
  expect([...links.filter((path) => !exists(path)), ...named]).toEqual([]);
});

describe("README.md", () => {
  const readme = readText("README.md");
  const rows = readme.split("\n").filter((line) => line.startsWith("| "));

  test("is one screen, with code of at most 12 lines", () => {
    expect(readme.split("\n").length).toBeLessThan(65);
    const code = readme.match(/```ts\n([\s\S]*?)```/)![1]!;
    expect(code.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(12);
    expect(readme).toContain("npm run demo");
    expect(readme).toContain("npm test");
  });

  test.each(packages)("has a row with $path", ({ path }) => {
    expect(rows.filter((row) => row.includes(`](${path})`))).toHaveLength(1);
  });

  test.each(policies)("lists what $path offers: its source, its paper, eight words", ({ path }) => {
    const row = rows.find((line) => line.includes(`](${path}/src/`));
    const [, policy, , paper, words] = row!.split("|").map((cell) => cell.trim());
    const source = row!.match(/\]\((packages\/[^)]+)\)/)![1]!;
    expect(readText(source)).toMatch(new RegExp(`export (const|function) ${policy!.replaceAll("`", "")}\\b`));
    expect(paper).toMatch(/^\[\d{4}\.\d{5}\]\(https:\/\/arxiv\.org\/abs\/\d{4}\.\d{5}\)$/);
    expect(words!.split(/\s+/)).toHaveLength(8);
  });
});

describe("ARCHITECTURE.md", () => {
  const text = readText("ARCHITECTURE.md");
  const section = (title: string) => text.split(/^## /m).find((part) => part.startsWith(title))!;

  test.each(["The life of one prompt", "The life of one token"])("%s: each sentence ends in a file", (title) => {
    const steps = section(title).match(/^\d+\. .*(?:\n {3}.*)*/gm)!;
    expect(steps.length).toBeGreaterThan(4);
    for (const step of steps) {
      expect(step).toMatch(/: `[^`]+`$/);
      expect(step.replace(/^\d+\. /, ""), "one sentence a step").not.toMatch(/[.!?] [A-Z]/);
      expect(paths(step)).not.toEqual([]);
    }
  });

  test("names every package", () => {
    for (const { folder } of packages) expect(text).toMatch(new RegExp(`\\b${folder}\\b`));
  });
});

test("CONTRIBUTING.md names every environment variable of ours", () => {
  const code = ["scripts", "packages", "apps", ".ci"]
    .flatMap(filesUnder)
    .filter((file) => /\.(ts|mjs|js)$|\/run$/.test(file));
  const variables = new Set(code.flatMap((file) => readText(file).match(/\bZIGGURAT_[A-Z][A-Z_]*/g) ?? []));
  expect(variables.size).toBeGreaterThan(2);
  const contributing = readText("CONTRIBUTING.md");
  expect([...variables].filter((name) => !contributing.includes(`\`${name}\``))).toEqual([]);
});

test.each([...packages, ...apps])("$path has a README that shows how to call it", ({ path }) => {
  expect(readText(`${path}/README.md`)).toMatch(/```(ts|sh|js)\n/);
});
