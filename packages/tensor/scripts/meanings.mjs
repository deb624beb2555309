// Writes src/reference/meanings.ts, which lists the ops of src/reference/, so that a new op is one new file there.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The TypeScript source of the list. `files`: the text of each file of src/reference/, by name. */
export function meaningsSource(files) {
  const ops = Object.entries(files)
    .flatMap(([file, text]) => {
      const name = text.match(/^export const (\w+): Meaning<"\1">/m)?.[1];
      return name === undefined ? [] : [{ name, file: `./${file.replace(/\.ts$/, ".js")}` }];
    })
    .sort((a, b) => (a.file < b.file ? -1 : 1));
  const imports = [
    ...ops.map(({ name, file }) => ({ file, line: `import { ${name} } from "${file}";` })),
    { file: "./view.js", line: 'import type { Meaning } from "./view.js";' },
  ].sort((a, b) => (a.file < b.file ? -1 : 1));
  return [
    "// Written by scripts/meanings.mjs: one entry for each op of this folder. Do not edit.",
    'import type { OpName } from "../catalogue.js";',
    ...imports.map(({ line }) => line),
    "",
    "/** The meaning of every op of the catalogue. */",
    "export const meanings: { readonly [N in OpName]: Meaning<N> } = {",
    ...ops.map(({ name }) => `  ${name},`),
    "};",
    "",
  ].join("\n");
}

/** Reads the folder and writes its list. */
export async function writeMeanings(folder) {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".ts"));
  const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));
  const source = meaningsSource(Object.fromEntries(names.map((name, i) => [name, texts[i]])));
  const list = new URL("meanings.ts", folder);
  if ((await readFile(list, "utf8").catch(() => "")) !== source) await writeFile(list, source);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeMeanings(new URL("../src/reference/", import.meta.url));
}
