// Writes the public declarations of every package to docs/api, one file per package, so that reviews show each change
// of the public surface. Reads the built declarations: run `npm run setup` first.
//   node scripts/api.mjs           writes the files
//   node scripts/api.mjs --check   writes nothing; names the files that differ and exits with 1
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "docs/api");
const printer = ts.createPrinter({ removeComments: true });

/** Entries of a package's `exports` that have types: [subpath, file]. None if it is private. */
const entriesOf = (name) => {
  const manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"));
  return Object.entries(manifest.private ? {} : manifest.exports)
    .filter(([, target]) => target.types !== undefined)
    .map(([subpath, { types }]) => [subpath, join(root, "packages", name, types)]);
};

/** The most characters of a constant's type that is printed in full. The op catalogue is data of 40 kB. */
const longest = 4000;

/** A declaration without its comments and private members. A very long constant is reduced to the names in it. */
function textOf(declaration) {
  if (ts.isVariableDeclaration(declaration) && declaration.getText().length > longest) {
    const names = declaration.type.members.map((member) => member.name.getText());
    return `export const ${declaration.name.getText()}: {\n// ${names.join("\n// ")}\n};`;
  }
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  const isPrivate = (node) =>
    (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name)) ||
    (ts.canHaveModifiers(node) &&
      ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) === true);
  const visit = (context) => (node) => (isPrivate(node) ? undefined : ts.visitEachChild(node, visit(context), context));
  const { transformed } = ts.transform(statement, [(context) => (node) => ts.visitNode(node, visit(context))]);
  return printer
    .printNode(ts.EmitHint.Unspecified, transformed[0], statement.getSourceFile())
    .replace(/^(export )?(declare )?/, "export ");
}

/** The public declarations behind one entry, sorted by name. */
function entryText(program, checker, name, [subpath, file]) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  const own = join(root, "packages", name, "dist");
  const texts = checker.getExportsOfModule(module).map((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    const declarations = target.declarations ?? [];
    const foreign = declarations.find((declaration) => !declaration.getSourceFile().fileName.startsWith(own));
    const home = foreign?.getSourceFile().fileName.match(/\/packages\/([^/]+)\//)?.[1];
    const text = home ? `export { ${symbol.name} } from "@ziggurat/${home}";` : declarations.map(textOf).join("\n");
    return [symbol.name, text];
  });
  const sorted = texts.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, text]) => text);
  const specifier = join(`@ziggurat/${name}`, subpath);
  return [`// ${specifier}`, ...sorted].join("\n\n");
}

function format(text) {
  const bin = join(root, "node_modules/@biomejs/biome/bin/biome");
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, "format", "--stdin-file-path=api.d.ts"], {
    cwd: root,
    input: text,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`biome cannot format the declarations: ${stderr}`);
  return stdout;
}

/** The text of every file in docs/api, by package. Throws if a package is not built. */
export function apiTexts() {
  const names = readdirSync(join(root, "packages")).filter((name) => entriesOf(name).length > 0);
  const files = names.flatMap((name) => entriesOf(name).map(([, file]) => file));
  const missing = files.find((file) => !existsSync(file));
  if (missing) throw new Error(`${missing.slice(root.length)} is missing; run \`npm run setup\` first`);
  const program = ts.createProgram(files, {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
    noLib: true,
    skipLibCheck: true,
  });
  const checker = program.getTypeChecker();
  return new Map(
    names.map((name) => {
      const entries = entriesOf(name).map((entry) => entryText(program, checker, name, entry));
      return [name, format(`// Written by \`npm run api\`. Do not edit.\n\n${entries.join("\n\n")}\n`)];
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes("--check");
  const texts = apiTexts();
  const stored = existsSync(folder) ? readdirSync(folder) : [];
  const stale = stored.filter((file) => !texts.has(file.replace(/\.d\.ts$/, "")));
  const changed = [...texts].filter(([name, text]) => {
    const path = join(folder, `${name}.d.ts`);
    return !existsSync(path) || readFileSync(path, "utf8") !== text;
  });
  for (const name of [...stale, ...changed.map(([package_]) => `${package_}.d.ts`)]) console.log(`docs/api/${name}`);
  if (check) process.exit(stale.length + changed.length > 0 ? 1 : 0);
  mkdirSync(folder, { recursive: true });
  for (const file of stale) rmSync(join(folder, file));
  for (const [name, text] of changed) writeFileSync(join(folder, `${name}.d.ts`), text);
}
