import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { apps, filesUnder, packages, policies, readText, root } from "../workspace.js";

const documents = filesUnder("").filter(
  (file) => file.endsWith(".md") && !/(^|\/)(CHANGELOG\.md|fixtures\/)/.test(file),
);
const exists = (path: string) => existsSync(join(root, path));

/** The paths of this repository that a text names in backticks, without patterns. */
const paths = (text: string) =>
  [
    ...text.matchAll(
      /`((?:packages|apps|scripts|docs\/(?:decisions|policies|web)|\.ci|\.github|\.changeset)\/[^`\s]*)`/g,
    ),
  ]
    .map(([, path]) => path!)
    .filter((path) => !/[<>*{]/.test(path));

/** Packages that a user can install. */
const published = packages.filter(({ manifest }) => manifest.private !== true);

test.each(documents)("%s names only files that exist", (document) => {
  const text = readText(document);
  const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, target]) =>
    join(dirname(document), target!),
  );
  // The README of a package may also name the package's files from its own folder.
  const named = paths(text).filter((path) => !exists(path) && !exists(join(dirname(document), path)));
  expect([...links.filter((path) => !exists(path)), ...named]).toEqual([]);
});

describe("README.md", () => {
  const readme = readText("README.md");
  const rows = readme.split("\n").filter((line) => line.startsWith("| "));
  const section = (title: string) => readme.split(/^## /m).find((part) => part.startsWith(title))!;

  test("has at most 110 lines, with code of at most 12 lines", () => {
    expect(readme.trimEnd().split("\n").length).toBeLessThanOrEqual(110);
    const code = readme.match(/```ts\n([\s\S]*?)```/)![1]!;
    expect(code.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(12);
    expect(readme).toContain("npm run demo");
    expect(readme).toContain("npm test");
    expect(readme).toContain("(ARCHITECTURE.md#glossary)");
  });

  test.each(published)("has a row with $path", ({ path }) => {
    expect(rows.filter((row) => row.includes(`](${path})`))).toHaveLength(1);
  });

  test.each(policies)("lists what $path offers, with its source and its paper", ({ path }) => {
    const own = rows.filter((line) => line.includes(`](${path}/src/`));
    expect(own).not.toEqual([]);
    for (const row of own) {
      const [, policy, paper, keeps] = row.split("|").map((cell) => cell.trim());
      const [, name, source] = policy!.match(/^\[`(\w+)`\]\((packages\/[^)]+)\)$/)!;
      expect(readText(source!)).toMatch(new RegExp(`export (const|function) ${name}\\b`));
      expect(paper).toMatch(/^\[(\d{4}\.\d{5})\]\(https:\/\/arxiv\.org\/abs\/\1\)$/);
      expect(keeps).toMatch(/\w+ \w+/);
    }
  });

  test("shows only numbers that docs/measurements.md has", () => {
    const measured = readText("docs/measurements.md");
    // Cells behind the first one: the first one names the machine and the model.
    const cells = section("Measured")
      .split("\n")
      .filter((line) => /^\| .*\d/.test(line))
      .flatMap((line) => line.split("|").slice(2, -1))
      .map((cell) => cell.trim())
      .filter((cell) => /^\d/.test(cell));
    expect(cells.length).toBeGreaterThan(20);
    const has = (cell: string) =>
      new RegExp(`(^|[^\\d.,])${cell.replaceAll(".", "\\.")}(?![\\d]|[.,]\\d)`, "m").test(measured);
    expect(cells.filter((cell) => !has(cell))).toEqual([]);
  });
});

describe("ARCHITECTURE.md", () => {
  const text = readText("ARCHITECTURE.md");
  const section = (title: string) => text.split(/^## /m).find((part) => part.startsWith(title))!;

  test("opens with a glossary of 12 to 20 words", () => {
    expect(text).toMatch(/^# Architecture\n(?:(?!^## ).*\n)*## Glossary\n/m);
    const terms = section("Glossary").match(/^\| \*\*.+\*\* \| .+ \|$/gm)!;
    expect(terms.length).toBeGreaterThanOrEqual(12);
    expect(terms.length).toBeLessThanOrEqual(20);
  });

  test.each(["The life of one prompt", "The life of one token"])(
    "%s: each step is one sentence that ends in a file",
    (title) => {
      const steps = section(title).match(/^\d+\. .*(?:\n {3}.*)*/gm)!;
      expect(steps.length).toBeGreaterThan(4);
      for (const step of steps) {
        expect(step).toMatch(/:\s+`[^`]+`$/);
        expect(step.replace(/^\d+\. /, ""), "one sentence per step").not.toMatch(/[.!?] [A-Z]/);
        expect(paths(step)).not.toEqual([]);
      }
    },
  );

  test("names every package", () => {
    for (const { folder } of published) expect(text).toMatch(new RegExp(`\\b${folder}\\b`));
  });
});

test("CONTRIBUTING.md names every environment variable of Ziggurat", () => {
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
