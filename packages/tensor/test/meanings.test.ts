import { readdirSync, readFileSync } from "node:fs";
import { opNames } from "@ziggurat/tensor";
import { expect, it } from "vitest";

const { meaningsSource } = (await import(new URL("../scripts/meanings.mjs", import.meta.url).href)) as {
  meaningsSource(files: Readonly<Record<string, string>>): string;
};
const folder = new URL("../src/reference/", import.meta.url);
const files = Object.fromEntries(
  readdirSync(folder).map((file) => [file, readFileSync(new URL(file, folder), "utf8")] as const),
);
const listed = (source: string) => [...source.matchAll(/^ {2}(\w+),$/gm)].map(([, name]) => name!);

it("the list of meanings is what its script writes (npm run build -w @ziggurat/tensor)", () => {
  expect(files["meanings.ts"]).toBe(meaningsSource(files));
  expect(listed(files["meanings.ts"]!).toSorted()).toEqual(opNames.toSorted());
});

it("a new op needs its own file alone to be listed", () => {
  const double = 'import type { Meaning } from "./view.js";\nexport const double: Meaning<"double"> = () => {};\n';
  const source = meaningsSource({ ...files, "double.ts": double });
  expect(listed(source).toSorted()).toEqual([...opNames, "double"].toSorted());
  expect(source).toContain('import { double } from "./double.js";');
});
