import { describe, expect, test } from "vitest";
import { withMetadata } from "../manifests.mjs";
import { apps, dependencyFields, filesUnder, packages, publishable, readText, rootManifest } from "../workspace.js";

const catalog = new Map(
  [...readText("pnpm-workspace.yaml").matchAll(/^ {2}"?([^":\s]+)"?: (.+)$/gm)].map(
    ([, name, range]) => [name!, range!] as const,
  ),
);

describe.each(packages)("$path", ({ path, folder, manifest }) => {
  test("consists of package.json, README.md, src and test", () => {
    const files = filesUnder(path).map((file) => file.slice(path.length + 1));
    expect(files).toContain("package.json");
    expect(files).toContain("src/index.ts");
    // Packages that @ziggurat/testing imports may have their tests there, since the two cannot depend on each other.
    const elsewhere = filesUnder("packages/testing/test").filter((file) =>
      readText(file).includes(`"${manifest.name}"`),
    );
    expect([...files.filter((file) => /^test\/.*\.test\.ts$/.test(file)), ...elsewhere]).not.toEqual([]);
    expect(readText(`${path}/README.md`)).toMatch(new RegExp(`^# @ziggurat/${folder}\n\n\\S`));
    const build = files.filter((file) => /^(tsconfig|tsup|turbo|vitest|biome).*\.(json|ts)$/.test(file));
    expect(build, "the root has the only build configuration").toEqual([]);
  });

  test("resolves to its source here and to dist elsewhere", () => {
    expect(manifest.name).toBe(`@ziggurat/${folder}`);
    const main = manifest.exports?.["."];
    expect(Object.keys(main ?? {})[0], "the first matching condition wins").toBe("@ziggurat/source");
    expect(main).toEqual({
      "@ziggurat/source": "./src/index.ts",
      types: "./dist/index.d.ts",
      import: "./dist/index.js",
    });
    expect(manifest.exports?.["./package.json"]).toBe("./package.json");
    expect(manifest.files).toEqual(expect.arrayContaining(["dist", "src", "README.md"]));
  });
});

test.each(publishable)("$path has the fields that a registry and a bundler need", ({ manifest }) => {
  expect(manifest).toMatchObject({
    license: "Apache-2.0",
    type: "module",
    sideEffects: false,
    engines: { node: rootManifest.engines!.node },
  });
  expect(manifest.description).toMatch(/\w+ \w+/);
});

test.each([...packages, ...apps])("$path runs nothing when it is installed", ({ manifest }) => {
  const hooks = ["preinstall", "install", "postinstall", "prepare", "preprepare", "postprepare", "prepublish"];
  expect(Object.keys(manifest.scripts ?? {}).filter((script) => hooks.includes(script))).toEqual([]);
});

test("everything has one version", () => {
  expect(new Set([...packages, ...apps].map(({ manifest }) => manifest.version)).size).toBe(1);
});

test("every changeset names a package of this repository, and all packages are in one group", () => {
  const names = new Set(packages.map(({ manifest }) => manifest.name));
  for (const file of filesUnder(".changeset").filter((path) => path.endsWith(".md"))) {
    const [, named, text] = readText(file).match(/^---\n((?:"[^"]+": (?:patch|minor|major)\n)+)---\n\n([\s\S]+)/) ?? [];
    expect(text, `${file}: front matter, an empty line, text`).toMatch(/\w/);
    for (const [, name] of named!.matchAll(/^"([^"]+)"/gm)) expect(names).toContain(name);
  }
  expect(JSON.parse(readText(".changeset/config.json"))).toMatchObject({ fixed: [["@ziggurat/*"]] });
});

test("packages of this repository name each other as dependencies, by the workspace protocol", () => {
  const names = new Set([...packages, ...apps].map(({ manifest }) => manifest.name));
  const ranges = [...packages, ...apps].flatMap(({ manifest }) =>
    dependencyFields.flatMap((field) =>
      Object.entries(manifest[field] ?? {})
        .filter(([name]) => names.has(name))
        .map(([name, range]) => ({ in: manifest.name, field, name, range })),
    ),
  );
  expect(ranges.length).toBeGreaterThan(packages.length);
  // A peer would have to be installed by users who never import it: docs/decisions/0007.
  expect(ranges.filter(({ field, range }) => field === "peerDependencies" || range !== "workspace:^")).toEqual([]);
});

test.each(publishable)("$path has the address of the repository, which the root package.json names", (place) => {
  const { repository } = rootManifest;
  expect(repository).toMatch(/^(|https:\/\/[^\s/]+\/[^\s/]+\/[^\s/.]+)$/);
  const manifest = JSON.parse(readText(`${place.path}/package.json`)) as Record<string, unknown>;
  // The order of the fields counts as well: run `node scripts/manifests.mjs`.
  expect(JSON.stringify(manifest)).toBe(JSON.stringify(withMetadata(manifest, repository!, place.path)));
});

test("the metadata of a package leads to its folder in the repository", () => {
  const folder = "packages/tensor";
  const before = { name: "x", license: "Apache-2.0", type: "module", bugs: "https://old.example/issues" };
  const after = withMetadata(before, "https://forge.example/owner/name", folder);
  expect(Object.keys(after)).toEqual(["name", "license", "homepage", "bugs", "repository", "type"]);
  expect(after).toMatchObject({
    homepage: "https://forge.example/owner/name/tree/main/packages/tensor#readme",
    bugs: "https://forge.example/owner/name/issues",
    repository: { type: "git", url: "git+https://forge.example/owner/name.git", directory: folder },
  });
  expect(withMetadata(after, "", folder)).toEqual({ name: "x", license: "Apache-2.0", type: "module" });
});

test("a version that two packages name is written once, in the catalog", () => {
  const users = new Map<string, { in: string; range: string }[]>();
  for (const manifest of [rootManifest, ...[...packages, ...apps].map((place) => place.manifest)]) {
    for (const field of dependencyFields.filter((name) => name !== "peerDependencies")) {
      for (const [name, range] of Object.entries(manifest[field] ?? {})) {
        if (!range.startsWith("workspace:"))
          users.set(name, [...(users.get(name) ?? []), { in: manifest.name, range }]);
      }
    }
  }
  const wrong = [...users].filter(
    ([name, uses]) => (uses.length > 1 || catalog.has(name)) && uses.some(({ range }) => range !== "catalog:"),
  );
  expect(wrong).toEqual([]);
  const missing = [...users].filter(
    ([name, uses]) => uses.some(({ range }) => range === "catalog:") && !catalog.has(name),
  );
  expect(missing).toEqual([]);
});

test("no file contains a path of one machine or the address of one registry", () => {
  const text =
    /\.(ts|mts|mjs|js|json|ya?ml|md|html|css|wgsl|cu|cc|py|sh|txt|toml)$|(^|\/)(run|\.npmrc|\.gitignore|LICENSE)$/;
  const start = "(?:^|[\\s\"'`(=:])";
  const machine = new RegExp(`${start}(?:file://)?/(?:work|root|home|Users|mnt|tmp/bash_jobs)[./][^\\s"'\`)]*`, "m");
  const registry =
    /https?:\/\/(?!registry\.npmjs\.org)[\w.-]*(?:registry|artifactory|nexus)[\w.-]*[:/]|https?:\/\/(?:localhost|127\.0\.0\.1|10\.\d+\.\d+\.\d+):\d+/;
  const found = filesUnder("")
    .filter((file) => text.test(file))
    .flatMap((file) => {
      // Port 1 of the loopback is where tests expect no server.
      const body = readText(file).replaceAll("http://127.0.0.1:1/", "").replaceAll('"http://127.0.0.1:1"', "");
      return [machine, registry]
        .flatMap((pattern) => body.match(pattern)?.[0] ?? [])
        .map((match) => `${file}: ${match.trim()}`);
    });
  expect(found).toEqual([]);
});
