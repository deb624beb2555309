import { dirname, join } from "node:path/posix";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import {
  apps,
  backends,
  benchKit,
  binaries,
  dependencyFields,
  evaluation,
  filesUnder,
  packages,
  policies,
  policyList,
  publishable,
  readText,
} from "../workspace.js";

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

/** Every import of a file: static, type-only, `import()` of values and of types, and re-exports. */
function importsOf(file: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean) => {
    if (specifier !== undefined && ts.isStringLiteralLike(specifier))
      found.push({ from: file, specifier: specifier.text, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const { importClause: clause } = node;
      const named = clause?.namedBindings;
      const allTypes =
        named !== undefined &&
        ts.isNamedImports(named) &&
        !clause?.name &&
        named.elements.every((element) => element.isTypeOnly);
      add(node.moduleSpecifier, clause?.phaseModifier === ts.SyntaxKind.TypeKeyword || allTypes);
    } else if (ts.isExportDeclaration(node)) {
      const named = node.exportClause;
      const allTypes =
        named !== undefined && ts.isNamedExports(named) && named.elements.every((element) => element.isTypeOnly);
      add(node.moduleSpecifier, node.isTypeOnly || allTypes);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, readText(file), ts.ScriptTarget.Latest));
  return found;
}

const codeOf = (folder: string) => filesUnder(folder).filter((file) => /\.[mc]?[jt]sx?$/.test(file));
const sourcesOf = (path: string) => codeOf(`${path}/src`);
const imports = new Map([...packages, ...apps].map(({ path }) => [path, sourcesOf(path).flatMap(importsOf)] as const));
/** Imports of the code beside `src`: tests, benches and scripts. */
const besides = new Map(
  [...packages, ...apps].map(
    ({ path }) =>
      [path, ["test", "bench", "scripts"].flatMap((name) => codeOf(`${path}/${name}`)).flatMap(importsOf)] as const,
  ),
);

/** `@ziggurat/tensor/sub` is in the package `@ziggurat/tensor`. */
const packageOf = (specifier: string) => specifier.match(/^(@[^/]+\/)?[^/]+/)![0];
const isRelative = (specifier: string) => /^\.{0,2}\//.test(specifier);

const policyNames = policies.map(({ folder }) => folder);

/** What the sources of a package may import of this repository; `types` is for `import type` alone. */
const allowed = (folder: string): { values: readonly string[]; types?: readonly string[] } => {
  if (folder === "tensor" || folder === "pebble") return { values: [] };
  if (folder === "policy") return { values: [], types: ["tensor"] };
  if (folder === "cache") return { values: ["tensor", "policy"] };
  if (folder === "runtime" || folder === "testing") return { values: ["tensor", "policy", "cache"] };
  if (folder === benchKit) return { values: ["runtime"] };
  if (folder === evaluation) return { values: [] };
  if (folder === policyList) return { values: ["policy", ...policyNames] };
  if (binaries.includes(folder)) return { values: [] };
  if (backends.includes(folder))
    return { values: ["tensor", ...binaries.filter((name) => name.startsWith(`${folder}-`))] };
  return { values: ["policy", ...policyNames.filter((name) => name !== folder)], types: ["tensor"] };
};

/** The first circle in a graph, as the nodes along it; undefined if there is none. */
function circleIn(graph: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const walk = (node: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    done.add(node);
    for (const next of graph.get(node) ?? []) {
      const circle = walk(next, [...path, node]);
      if (circle) return circle;
    }
    return undefined;
  };
  for (const node of graph.keys()) {
    const circle = walk(node, []);
    if (circle) return circle;
  }
  return undefined;
}

describe("the walker itself", () => {
  test("finds every kind of import, and circles", () => {
    const own = importsOf("scripts/test/imports.test.ts");
    expect(own.map(({ specifier }) => specifier)).toContain("../workspace.js");
    expect(circleIn(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]]))).toEqual(["b", "c", "b"]); // biome-ignore format: a graph in a line
    expect(circleIn(new Map([["a", ["b", "c"]], ["b", ["c"]]]))).toBeUndefined(); // biome-ignore format: a graph in a line
  });
});

describe.each(packages)("$path", ({ path, folder, manifest }) => {
  const may = allowed(folder);
  const own = imports.get(path)!;

  test("has sources, and imports only what the design allows it", () => {
    expect(sourcesOf(path)).not.toEqual([]);
    const breaches = own.filter(({ specifier, typeOnly }) => {
      if (!specifier.startsWith("@ziggurat/")) return false;
      const target = packageOf(specifier).slice("@ziggurat/".length);
      return !may.values.includes(target) && !(typeOnly && may.types?.includes(target));
    });
    expect(breaches).toEqual([]);
  });

  test("depends on nothing else of this repository", () => {
    const named = dependencyFields
      .filter((field) => field !== "devDependencies")
      .flatMap((field) => Object.keys(manifest[field] ?? {}));
    const inside = named.filter((name) => name.startsWith("@ziggurat/")).map((name) => name.slice("@ziggurat/".length));
    expect(inside.filter((name) => !may.values.includes(name) && !may.types?.includes(name))).toEqual([]);
  });

  test("names in its package.json whatever it imports", () => {
    const declared = new Set(
      dependencyFields
        .filter((field) => field !== "devDependencies")
        .flatMap((field) => Object.keys(manifest[field] ?? {})),
    );
    const outside = own.filter(
      ({ specifier }) =>
        !isRelative(specifier) && !specifier.startsWith("node:") && !declared.has(packageOf(specifier)),
    );
    expect(outside).toEqual([]);
  });

  test("stays inside its own src", () => {
    const src = `${path}/src/`;
    const escapes = own.filter(
      ({ from, specifier }) => isRelative(specifier) && !join(dirname(from), specifier).startsWith(src),
    );
    expect(escapes).toEqual([]);
  });
});

describe.each([...packages, ...apps])("$path, its tests, benches and scripts", ({ path }) => {
  const found = besides.get(path)!;

  test("reach into no other package or app, and share by name", () => {
    // What the repository itself has: requirements of tests, the browser.
    const shared = (target: string) => target.startsWith(`${path}/`) || target.startsWith("scripts/");
    const escapes = found.filter(
      ({ from, specifier }) => isRelative(specifier) && !shared(join(dirname(from), specifier)),
    );
    expect(escapes).toEqual([]);
  });

  test("name no app, unless they are of an app", () => {
    const names = new Set(apps.map(({ manifest }) => manifest.name));
    const upwards = found.filter(({ specifier }) => names.has(packageOf(specifier)));
    if (path.startsWith("packages/")) expect(upwards).toEqual([]);
  });
});

test("nothing that is published imports what is private", () => {
  const names = new Set(
    [...packages, ...apps].filter(({ manifest }) => manifest.private).map(({ manifest }) => manifest.name),
  );
  const breaches = publishable.flatMap(({ path }) =>
    imports.get(path)!.filter(({ specifier }) => names.has(packageOf(specifier))),
  );
  expect(names).toContain(`@ziggurat/${benchKit}`);
  expect(breaches).toEqual([]);
});

test.each([...packages, ...apps])("$path has no circle of imports", ({ path }) => {
  const files = new Set(sourcesOf(path));
  const graph = new Map<string, string[]>([...files].map((file) => [file, []]));
  for (const { from, specifier } of imports.get(path)!) {
    if (!isRelative(specifier)) continue;
    const target = join(dirname(from), specifier);
    const file = [target, target.replace(/\.js$/, ".ts"), target.replace(/\.js$/, ".tsx")].find((name) =>
      files.has(name),
    );
    if (file) graph.get(from)!.push(file);
  }
  expect(circleIn(graph)).toBeUndefined();
});

test("packages depend on each other without a circle, tests included", () => {
  const names = new Set([...packages, ...apps].map(({ manifest }) => manifest.name));
  const depends = [...packages, ...apps].map(({ manifest }) => {
    const all = dependencyFields.flatMap((field) => Object.keys(manifest[field] ?? {}));
    return [manifest.name, all.filter((name) => names.has(name))] as const;
  });
  expect(circleIn(new Map(depends))).toBeUndefined();
});
