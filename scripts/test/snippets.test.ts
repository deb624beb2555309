import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { filesUnder, readText, root } from "../workspace.js";

// Code in the documents is checked against the exports of the packages. It need not declare these names.
const given: Readonly<Record<string, string>> = {
  prompt: 'import("@ziggurat/runtime").Prompt',
  model: 'import("@ziggurat/runtime").Model',
  backend: 'import("@ziggurat/tensor").Backend',
};
const unknownModule = 2307;

const withGiven = (code: string) => {
  const missing = Object.keys(given).filter(
    (name) => !new RegExp(`(const|let) (${name}\\b|\\{[^}]*\\b${name}\\b)`).test(code),
  );
  return [code, ...missing.map((name) => `declare const ${name}: ${given[name]};`), "export {};\n"].join("\n");
};

const snippets = new Map(
  filesUnder("")
    .filter((file) => file.endsWith(".md") && !file.includes("/fixtures/"))
    .flatMap((file) =>
      [...readText(file).matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code], index) => [
        join(root, `${file}.${index}.ts`),
        withGiven(code!),
      ]),
    ),
);

function complaints(): string[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile, readFile } = host;
  host.fileExists = (path) => snippets.has(path) || fileExists(path);
  host.readFile = (path) => snippets.get(path) ?? readFile(path);
  host.getSourceFile = (path, language, ...rest) =>
    snippets.has(path)
      ? ts.createSourceFile(path, snippets.get(path)!, language)
      : getSourceFile(path, language, ...rest);
  const program = ts.createProgram([...snippets.keys()], options, host);
  return [...snippets.keys()].flatMap((path) => {
    const file = program.getSourceFile(path)!;
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
      .map(({ code, messageText }) => ({ code, text: ts.flattenDiagnosticMessageText(messageText, "\n") }))
      .filter(({ code, text }) => !(code === unknownModule && /'my-/.test(text)))
      .map(({ text }) => `${path.slice(root.length)}: ${text}`);
  });
}

test("code in the documents compiles against the packages", () => {
  expect(snippets.size).toBeGreaterThan(8);
  expect(complaints()).toEqual([]);
});
