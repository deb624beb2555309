import { join } from "node:path";
import { policies } from "@ziggurat/policies";
import type { Option } from "@ziggurat/policy";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { readText, root } from "../../../scripts/workspace.js";

// Documents and editors say of an option what its declaration says.

const defaultOf = ({ default: value }: Option): string => {
  if (value === undefined) return "required";
  if (typeof value === "object" && value !== null) return (value as { words: string }).words;
  return typeof value === "string" ? `\`"${value}"\`` : String(value);
};

/** Rows of a table of options, as cells: name, values, default, meaning. */
const rowsOf = (declared: Readonly<Record<string, Option>>): string[][] =>
  Object.entries(declared).map(([name, option]) => [`\`${name}\``, option.values, defaultOf(option), option.doc]);

const header = ["option", "values", "default", ""];
const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`.replace(/ {2}/g, " ");
const tableOf = (declared: Readonly<Record<string, Option>>): string =>
  [line(header), "|---|---|---|---|", ...rowsOf(declared).map(line)].join("\n");

const published = policies.filter(({ paper }) => paper !== undefined);
const controls = policies.filter(({ paper, name }) => paper === undefined && name !== "full");

describe.each(published)("$name", ({ name, title, package: pack, paper, options }) => {
  const readme = readText(`packages/${pack.replace("@ziggurat/", "")}/README.md`);
  const page = readText(`docs/policies/${name}.md`);

  test("the README of its package has its table of options", () => {
    expect(readme).toContain(`${tableOf(options.declared)}\n`);
  });

  test("its page has the same table, with what the authors' code calls each option", () => {
    const section = page.split("\n## Options\n")[1]!.split("\n\n")[0]!;
    const cells = section.trim().split("\n").map((row) => row.split("|").slice(1, -1).map((cell) => cell.trim())); // biome-ignore format: a chain
    expect(cells[0]).toEqual(["option", "authors' code", ...header.slice(1)]);
    expect(cells.slice(2).map(([option, , ...rest]) => [option, ...rest])).toEqual(rowsOf(options.declared));
  });

  test("its page and its README name the paper and the title", () => {
    for (const text of [page, readme]) {
      expect(text).toContain(`https://arxiv.org/abs/${paper}`);
      expect(text).toContain(title);
    }
  });
});

test.each(controls)("the page of the controls has the options of $name", ({ options }) => {
  expect(readText("docs/policies/controls.md")).toContain(`${tableOf(options.declared)}\n`);
});

test("summaries are one line without a full stop, and names are distinct", () => {
  for (const { summary } of policies) expect(summary).toMatch(/^[A-Za-z][^\n.]{5,60}$/);
  expect(new Set(policies.map(({ name }) => name)).size).toBe(policies.length);
  for (const { options } of policies)
    for (const { doc } of Object.values(options.declared)) expect(doc).toMatch(/^[a-z][^\n|.]+$/);
});

// As this repository sees a package, and as a user who installs it does.
describe.each([["@ziggurat/source"], []])("an editor shows what an option means, condition %s", (...conditions) => {
  // The options of each factory, as TypeScript sees them through its parameter.
  const factories = policies.filter(({ name }) => name !== "full").map(({ package: pack, options }) => [pack, options.policy] as const); // biome-ignore format: pairs
  const file = join(root, "packages/policies/test/editor.ts");
  const code = factories.map(([pack, name]) => `import { ${name} } from "${pack}"; export const of_${name}: Parameters<typeof ${name}>[0] = null!;`).join("\n"); // biome-ignore format: a template
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const compilerOptions = { ...config.compilerOptions, customConditions: conditions };
  const { options } = ts.convertCompilerOptionsFromJson(compilerOptions, root);
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (path) => path === file || fileExists(path);
  host.getSourceFile = (path, language, ...rest) =>
    path === file ? ts.createSourceFile(path, code, language, true) : getSourceFile(path, language, ...rest);
  const program = ts.createProgram([file], options, host);
  const checker = program.getTypeChecker();
  const shown = new Map<string, string>();
  program.getSourceFile(file)!.forEachChild((node) => {
    if (!ts.isVariableStatement(node)) return;
    const [declaration] = node.declarationList.declarations;
    const name = (declaration!.name as ts.Identifier).text.slice("of_".length);
    for (const property of checker.getTypeAtLocation(declaration!.name).getProperties()) {
      const text = ts.displayPartsToString(property.getDocumentationComment(checker));
      shown.set(`${name}.${property.name}`, text.replaceAll("\n", " "));
    }
  });

  test.each(factories)("%s: %s", (_, name) => {
    const { declared } = policies.find((policy) => policy.options.policy === name)!.options;
    for (const [option, { doc }] of Object.entries(declared)) {
      const text = shown.get(`${name}.${option}`);
      expect(text?.toLowerCase(), `${name}.${option}: ${text}`).toMatch(
        new RegExp(
          `^${doc
            .split(";")[0]!
            .toLowerCase()
            .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`,
        ),
      );
    }
    expect([...shown.keys()].filter((key) => key.startsWith(`${name}.`))).toHaveLength(Object.keys(declared).length);
  });
});
