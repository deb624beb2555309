import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testFull } from "../requirements.js";
import {
  type DependencyField,
  type Manifest,
  packages,
  publishable,
  readText,
  root,
  rootManifest,
} from "../workspace.js";

// Each package as a user gets it: packed, and installed into an empty folder with its dependencies alone.

const run = promisify(execFile);
const temp = mkdtempSync(join(tmpdir(), "ziggurat-tarballs-"));
afterAll(() => rmSync(temp, { recursive: true, force: true }), 60_000);

const installed: readonly DependencyField[] = ["dependencies", "peerDependencies", "optionalDependencies"];
const byName = new Map(publishable.map((place) => [place.manifest.name, place]));
const tarballOf = ({ name, version }: Manifest) =>
  join(temp, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`);

/** A package of this repository and every package of this repository that it needs. */
function closure(name: string, found: Set<string> = new Set()): Set<string> {
  const place = byName.get(name);
  if (place === undefined || found.has(name)) return found;
  found.add(name);
  for (const field of installed) for (const next of Object.keys(place.manifest[field] ?? {})) closure(next, found);
  return found;
}

const npmInstall = ["install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"];
const tarballs = (names: Iterable<string>) =>
  Object.fromEntries([...names].map((name) => [name, `file:${tarballOf(byName.get(name)!.manifest)}`]));

/** Installs `names` of this repository, from their tarballs, into a new folder. */
async function install(folder: string, names: Iterable<string>, more: object = {}): Promise<string> {
  const path = join(temp, folder);
  mkdirSync(path, { recursive: true });
  const manifest = { private: true, type: "module", ...more, dependencies: tarballs(names) };
  writeFileSync(join(path, "package.json"), JSON.stringify(manifest));
  await run("npm", npmInstall, { cwd: path });
  return path;
}

const everything = () => tarballs(byName.keys());

/** Installs `dependencies` by pnpm, which lets a package import nothing but what its own manifest names. */
async function installStrictly(folder: string, dependencies: object): Promise<string> {
  const path = join(temp, folder);
  mkdirSync(path);
  // Overrides stand in for a registry: packages that `dependencies` does not name come from their tarballs too.
  const manifest = { private: true, type: "module", dependencies, pnpm: { overrides: everything() } };
  writeFileSync(join(path, "package.json"), JSON.stringify(manifest));
  const strict = ["--config.auto-install-peers=false", "--config.strict-peer-dependencies=true"];
  const command = ["install", "--prefer-offline", "--no-lockfile", "--ignore-scripts", ...strict];
  await run("npx", ["--yes", rootManifest.packageManager!, ...command], { cwd: path });
  return path;
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));

beforeAll(async () => {
  const unbuilt = packages.filter(({ path }) => !existsSync(join(root, path, "dist")));
  if (unbuilt.length > 0) throw new Error(`${unbuilt[0]!.path} has no dist; run \`npm run setup\` first`);
  const filters = publishable.flatMap(({ manifest }) => ["--filter", manifest.name]);
  await run("npx", ["--yes", rootManifest.packageManager!, "-r", ...filters, "pack", "--pack-destination", temp], {
    cwd: root,
  });
}, 120_000);

/** Parsed files of the standard library, shared by all programs. */
const libraries = new Map<string, ts.SourceFile | undefined>();

/** The errors of TypeScript for files in `folder` that import `names`. The types of libraries are checked too. */
function typeErrors(folder: string, names: readonly string[], mode: "nodenext" | "bundler"): string[] {
  const files = names.map((name) => {
    const file = join(folder, `${name.replaceAll("/", "-")}-${mode}.ts`);
    const body = `import * as all from "${name}";\nexport const names: string[] = Object.keys(all);\n`;
    writeFileSync(file, body);
    return file;
  });
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.esnext.disposable.d.ts"],
    module: mode === "nodenext" ? ts.ModuleKind.NodeNext : ts.ModuleKind.ESNext,
    moduleResolution: mode === "nodenext" ? ts.ModuleResolutionKind.NodeNext : ts.ModuleResolutionKind.Bundler,
    types: [],
    strict: true,
    skipLibCheck: false,
    skipDefaultLibCheck: true,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  const getSourceFile = host.getSourceFile;
  host.getSourceFile = (path, ...rest) => {
    if (!/\/typescript\/lib\/lib\./.test(path)) return getSourceFile(path, ...rest);
    if (!libraries.has(path)) libraries.set(path, getSourceFile(path, ...rest));
    return libraries.get(path);
  };
  return ts
    .getPreEmitDiagnostics(ts.createProgram(files, options, host))
    .map(({ file: at, messageText }) => `${at?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`);
}

const isLibrary = ({ exports }: Manifest) => exports?.["."] !== undefined;

describe.each(publishable)("$manifest.name", ({ manifest }) => {
  test("passes publint and, as an ES module, are-the-types-wrong", async () => {
    const bytes = new Uint8Array(readFileSync(tarballOf(manifest)));
    const { messages, pkg } = await publint({ pack: { tarball: bytes.slice().buffer }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
    if (!isLibrary(manifest)) return;
    const result = await checkPackage(createPackageFromTarballData(bytes));
    expect(result.types).not.toBe(false);
    // The two kinds left out concern programs that `require`; these packages are ES modules only.
    const problems =
      result.types === false
        ? []
        : result.problems.filter(
            (problem) => !("resolutionKind" in problem && /^node10$|cjs$/.test(problem.resolutionKind)),
          );
    expect(problems).toEqual([]);
  });
});

/** Checks the files of an installed package, and that it can be imported. */
async function checkInstalled(folder: string, { name, exports }: Manifest) {
  const own = join(folder, "node_modules", name);
  const files = filesIn(own);
  expect(files).toEqual(expect.arrayContaining(["package.json", "README.md", "LICENSE"]));
  expect(
    files.filter((file) => /(^|\/)(test|bench)\/|^node_modules\/(?!\.bin\/)|\.test\.|\.tgz$|\.tsbuildinfo$/.test(file)),
  ).toEqual([]);
  const text = readFileSync(join(own, "package.json"), "utf8");
  expect(text).not.toMatch(/"(workspace|catalog):/);
  const targets = Object.values(exports ?? {}).flatMap((target) =>
    typeof target === "string" ? [target] : Object.values(target),
  );
  expect(targets.filter((target) => !existsSync(join(own, target)))).toEqual([]);
  for (const map of files.filter((file) => file.endsWith(".map"))) {
    const { sources, sourcesContent } = JSON.parse(readFileSync(join(own, map), "utf8")) as {
      sources: string[];
      sourcesContent?: unknown[];
    };
    const absent = sources.filter(
      (source, i) => typeof sourcesContent?.[i] !== "string" && !existsSync(resolve(own, dirname(map), source)),
    );
    expect(absent, map).toEqual([]);
  }
  if (exports?.["."] === undefined) return;
  const print = `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(name)}))))`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", print], { cwd: folder });
  expect(JSON.parse(stdout)).not.toEqual([]);
}

describe("all packages together, by pnpm", () => {
  let folder: string;
  beforeAll(async () => {
    const [{ peerDependencies }] = packages
      .filter(({ folder }) => folder === "testing")
      .map(({ manifest }) => manifest) as [Manifest];
    folder = await installStrictly("together", { ...everything(), ...peerDependencies });
  }, 120_000);

  test.each(publishable)(
    "$manifest.name needs only its dependencies, and contains what its manifest promises",
    (place) => checkInstalled(folder, place.manifest),
  );

  test.each(["nodenext", "bundler"] as const)("their types resolve with %s", (mode) => {
    const names = publishable.map(({ manifest }) => manifest).filter(isLibrary);
    expect(
      typeErrors(
        folder,
        names.map(({ name }) => name),
        mode,
      ),
    ).toEqual([]);
  });
});

// npm puts all packages side by side, so each package needs a folder to itself.
for (const { manifest } of publishable) {
  const { name } = manifest;
  testFull(
    `${name} alone, by npm, installs into an empty folder with its dependencies`,
    async () => {
      const folder = await install(name.replace("/", "-"), closure(name));
      await checkInstalled(folder, manifest);
      if (!isLibrary(manifest)) return;
      expect(typeErrors(folder, [name], "nodenext")).toEqual([]);
      expect(typeErrors(folder, [name], "bundler")).toEqual([]);
    },
    120_000,
  );
}

describe("the install line of README.md", () => {
  const readme = readText("README.md");
  const [, line] = readme.match(/^ {4}npm install (.+)$/m)!;
  const names = line!.split(" ");
  const [, code] = readme.match(/^```ts\n([\s\S]*?)^```$/m)!;
  const [, output] = readme.match(/^```text\n([\s\S]*?)^```$/m)!;

  test("names the packages that the snippet imports, and the three that are enough for any model", () => {
    const imported = [...code!.matchAll(/from "(.+)"/g)].map(([, name]) => name!);
    expect(names.toSorted()).toEqual(imported.toSorted());
    expect(names).toEqual(expect.arrayContaining(["@ziggurat/runtime", "@ziggurat/cpu", "@ziggurat/pyramid"]));
  });

  const npm = async (folder: string) => {
    const path = join(temp, folder);
    mkdirSync(path);
    const manifest = { private: true, type: "module", dependencies: tarballs(names), overrides: everything() };
    writeFileSync(join(path, "package.json"), JSON.stringify(manifest));
    await run("npm", [...npmInstall, "--strict-peer-deps"], { cwd: path });
    return path;
  };
  const pnpm = (folder: string) => installStrictly(folder, tarballs(names));
  test.each([
    { manager: "npm", install: npm },
    { manager: "pnpm", install: pnpm },
  ])(
    "is enough with $manager: the snippet runs and prints what README.md shows",
    async ({ manager, install }) => {
      const folder = await install(`readme-${manager}`);
      writeFileSync(join(folder, "main.js"), code!);
      const { stdout } = await run(process.execPath, ["main.js"], { cwd: folder });
      expect(stdout).toBe(output);
    },
    120_000,
  );
});

const someonesPolicy = `
import { afterPrefill, anyOf, first, last, type Policy, type Scorer, uniform } from "@ziggurat/policy";

/** KeyDiff, https://arxiv.org/abs/2504.15364: keys unlike the mean direction of all keys stay. */
export const unlikeTheOthers: Scorer = {
  score: ({ keys }) => {
    const unit = keys.div(keys.norm("size").maximum(1e-12));
    const mean = unit.mean("rows");
    return unit.mul(mean).sum("size").div(mean.norm("size")).neg();
  },
};

export function keyDiff(keep: number): Policy {
  const protect = anyOf(first(4), last(16));
  return { name: "keydiff", budget: uniform(keep), score: unlikeTheOthers, protect, schedule: afterPrefill() };
}
`;

const someonesProgram = `
import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { generate, loadModel } from "@ziggurat/runtime";
import { keyDiff } from "keydiff-of-someone-else";

const backend = await cpu({ threads: 1 });
const model = await loadModel(pebble(), { backend });
const prompt = "The secret code of Alice is 48213. ".repeat(20);
const answer = generate({ model, policy: keyDiff(48), prompt, maxTokens: 8, kept: true });
const { text, promptTokens, policy, cache } = await answer.result;
await backend.dispose();
console.log(JSON.stringify({ text, promptTokens, policy, rows: cache.rows, kept: cache.kept.afterPrefill }));
`;

test("a third-party policy package, built from the tarballs alone, runs in generate", async () => {
  const names = new Set(
    ["policy", "runtime", "cpu", "pebble"].flatMap((folder) => [...closure(`@ziggurat/${folder}`)]),
  );
  const name = "keydiff-of-someone-else";
  const folder = await install(name, names, {
    name,
    version: "1.0.0",
    exports: { ".": { types: "./dist/index.d.ts", import: "./dist/index.js" } },
  });
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "src/index.ts"), someonesPolicy);
  const compilerOptions = {
    target: "es2022",
    module: "nodenext",
    strict: true,
    declaration: true,
    types: [],
    rootDir: "src",
    outDir: "dist",
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }));
  await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc")], { cwd: folder });
  writeFileSync(join(folder, "main.js"), someonesProgram);
  const { stdout } = await run(process.execPath, ["main.js"], { cwd: folder });

  const result = JSON.parse(stdout) as {
    text: string;
    promptTokens: number;
    policy: object;
    rows: number[][];
    kept: number[][][];
  };
  expect(result.promptTokens).toBeGreaterThan(200);
  const heads = result.rows.flat();
  expect(heads).toEqual(heads.map(() => 48));
  expect(result.policy).toMatchObject({
    name: "keydiff",
    active: true,
    evicted: heads.length * (result.promptTokens - 48),
    prefill: "exact",
  });
  const pinned = [0, 1, 2, 3, ...Array.from({ length: 16 }, (_, i) => result.promptTokens - 16 + i)];
  for (const kept of result.kept.flat()) expect(kept).toEqual(expect.arrayContaining(pinned));
  expect(result.kept[0]).not.toEqual(result.kept[1]);
}, 120_000);
