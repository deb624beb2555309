import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { policies } from "../../../scripts/workspace.js";

const packages = fileURLToPath(new URL("../../", import.meta.url));
const names = ["policy", ...policies.map(({ folder }) => folder)];

/** Modules that a source file imports or re-exports values from. */
const valueImports = (source: string): string[] =>
  [...source.matchAll(/^(?:import|export)\s(?!type\s)([^;]*?)\bfrom\s+"([^"]+)"/gms)]
    .filter(([, clause]) => !/^\{(\s*type\s[^,}]+,?)+\s*\}\s*$/.test(clause!.trim()))
    .map(([, , from]) => from!)
    .concat(
      [...source.matchAll(/\bimport\(\s*"([^"]+)"\s*\)\s*[^.\s]|^import\s+"([^"]+)"/gm)].map(([, a, b]) => (a ?? b)!),
    );

test("the search tells values from types", () => {
  expect(valueImports('import { type A, type B } from "x";\nimport type { C } from "y";')).toEqual([]);
  expect(valueImports('import { type A, b } from "x";')).toEqual(["x"]);
  expect(valueImports('import {\n  type A,\n  b,\n} from "x";\nexport { c } from "y";')).toEqual(["x", "y"]);
  expect(valueImports('import * as all from "x";\nimport "y";')).toEqual(["x", "y"]);
});

test.each(names)("%s imports only types of tensor, so a policy cannot touch a device", (name) => {
  const files = readdirSync(`${packages}${name}/src`).filter((file) => file.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) {
    const from = valueImports(readFileSync(`${packages}${name}/src/${file}`, "utf8"));
    const allowed = new RegExp(`: (\\./|@ziggurat/(${names.join("|")})$)`);
    for (const module of from) expect(`${file}: ${module}`).toMatch(allowed);
  }
});
