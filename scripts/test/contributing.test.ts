import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { families } from "@ziggurat/runtime/families";
import { catalogue, type OpName } from "@ziggurat/tensor";
import { describe, expect, test } from "vitest";
import { backends, filesUnder, readText, root } from "../workspace.js";

// The lists of CONTRIBUTING.md, held against every op, backend and model family that exists. The list for policies has
// its test in packages/policies.

/** A section's places, as they are written: each path in backticks that begins at the root or follows one. */
function placesOf(heading: string): string[] {
  const section = readText("CONTRIBUTING.md").split(`\n## ${heading}\n`)[1]!.split("\n## ")[0]!;
  const places = [...section.matchAll(/`([^`\s]+)`/g)].map(([, place]) => place!);
  const paths = places.filter((place) => /^[\w.-]+\/.*[/.]|^([A-Z]+\.md|package\.json)$/.test(place));
  // `<op>.wgsl` is beside the path before it.
  const beside = places.flatMap((place, index) => {
    return /^<\w+>\.\w+$/.test(place) ? [`${dirname(places[index - 1]!)}/${place}`] : [];
  });
  return [...paths, ...beside];
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Whether a place exists for a name; a `<kind>` is any file of its folder that has the name in it. */
function exists(place: string, name: string): boolean {
  if (!place.includes("<kind>")) return existsSync(join(root, place));
  return filesUnder(dirname(place)).some((file) => new RegExp(`\\b${name}\\b`).test(readText(file)));
}

const ops = Object.keys(catalogue) as OpName[];
const opPlaces = placesOf("Add an op");

describe.each(ops)("an op, %s", (op) => {
  test("is in every place of the list", () => {
    const missing = opPlaces.filter((place) => !exists(place.replaceAll("<op>", kebab(op)), op));
    expect(missing).toEqual([]);
  });
});

test("the list of an op has its places", () => {
  expect(opPlaces.length).toBeGreaterThanOrEqual(9);
  expect(opPlaces.filter((place) => place.includes("<op>")).map((place) => basename(place))).toEqual([
    "<op>.ts",
    "<op>.ts",
    "<op>.ts",
    "<op>.cu",
    "<op>.wgsl",
  ]);
  expect(exists("packages/cpu/assembly/nothing.ts", "nothing")).toBe(false);
  expect(exists("packages/tensor/src/catalogue/<kind>.ts", "nothingOfTheKind")).toBe(false);
});

describe.each(backends)("a backend, %s", (backend) => {
  const places = placesOf("Add a backend");

  test("is in every place of the list", () => {
    expect(places.length).toBeGreaterThanOrEqual(6);
    const own = places.map((place) => place.replaceAll("<name>", backend));
    expect(own.filter((place) => !existsSync(join(root, place)))).toEqual([]);
    for (const place of [
      "scripts/workspace.ts",
      "README.md",
      "ARCHITECTURE.md",
      "package.json",
      "apps/cli/src/load.ts",
    ]) {
      expect(places).toContain(place);
      expect(readText(place), place).toMatch(new RegExp(`\\b${backend}\\b`));
    }
    const tested = filesUnder(`packages/${backend}`).filter((file) => /\.ts$/.test(file) && !file.includes("/src/"));
    expect(tested.some((file) => /\btestBackend\(/.test(readText(file)))).toBe(true);
  });
});

describe.each(families.map(({ architectures: [name] }) => name!))("a model family, %s", (architecture) => {
  const family = architecture.replace(/(For|Text).*$/, "").toLowerCase();

  test("is in every place of the list", () => {
    const places = placesOf("Add a model family").map((place) => place.replaceAll("<family>", family));
    expect(places.length).toBeGreaterThanOrEqual(5);
    expect(places.filter((place) => !existsSync(join(root, place)))).toEqual([]);
    for (const place of ["packages/runtime/src/families.ts", "packages/runtime/README.md", "README.md"]) {
      expect(places).toContain(place);
      expect(
        readText(place)
          .toLowerCase()
          .replaceAll(/[-\s.]/g, ""),
        place,
      ).toContain(family);
    }
    const fixtures = filesUnder("packages/runtime/test/fixtures/families");
    expect(fixtures.some((file) => file.toLowerCase().replaceAll("-", "").includes(family.replace(/\d$/, "")))).toBe(
      true,
    );
  });
});
