import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { policies as listed } from "@ziggurat/policies";
import type { Options, OptionsOf, Policy } from "@ziggurat/policy";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { afterAll, describe, expect, test } from "vitest";
import { filesUnder, policies, readText, root } from "../../../scripts/workspace.js";

// CONTRIBUTING.md says which places a new policy touches. Here that list is held against the policies that are here,
// and followed for one that is not.

const section = readText("CONTRIBUTING.md").split("\n## Add a policy\n")[1]!.split("\n## ")[0]!;
/** Each place as CONTRIBUTING.md writes it: `packages/<name>/src/index.ts`. */
const places = [...section.matchAll(/^\d+\. `([^`]+)`/gm)].map(([, place]) => place!);

describe.each(policies)("the list, for $path", ({ folder, manifest }) => {
  const names = listed.filter((one) => one.package === manifest.name).map(({ name }) => name);
  const files = names.flatMap((policy) =>
    places
      .filter((place) => !place.includes("<words>"))
      .map((place) => place.replaceAll("<name>", folder).replaceAll("<policy>", policy)),
  );

  test("names places that exist, and that name the policy", () => {
    expect(names).not.toEqual([]);
    for (const file of files) {
      if (!file.includes("/test/")) expect(existsSync(join(root, file)), file).toBe(true);
      if (!file.startsWith(`packages/${folder}/`))
        expect(readText(file), file).toMatch(new RegExp(`\\b(${[folder, ...names].join("|")})\\b`));
    }
    expect(filesUnder(`packages/${folder}/test`).filter((file) => file.endsWith(".test.ts"))).not.toEqual([]);
  });

  test("leaves no place out: nothing else that a user runs imports the policy", () => {
    const sources = ["apps/cli", "apps/web", "scripts", "packages"]
      .flatMap(filesUnder)
      .filter((file) => /\.(ts|mjs)$/.test(file) && !/\/(test|bench|scripts)\//.test(file));
    const naming = sources.filter(
      (file) => !file.startsWith(`packages/${folder}/`) && readText(file).includes(`"${manifest.name}"`),
    );
    // A policy may build on another one.
    const building = policies.map(({ path }) => `${path}/`);
    const rest = naming.filter((file) => !building.some((path) => file.startsWith(path)));
    expect(rest).toEqual(["packages/policies/src/list.ts"]);
  });
});

describe("the list, followed for a policy that is not here", () => {
  const folder = mkdtempSync(join(tmpdir(), "ziggurat-new-policy-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const write = (place: string, text: string): string => {
    expect(places).toContain(place);
    const file = join(folder, place.replaceAll("<name>", "halves"));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };

  const source = `
import { first, type OptionsOf, options, type Policy, recency, uniform, whenOver, whole } from "@ziggurat/policy";

export const halvesOptions = options("halves", {
  /** Rows that each layer keeps. */
  keep: whole({ min: 2, moreThan: "sinks", doc: "rows that each layer keeps" }),
  /** First tokens that stay. Default 1. */
  sinks: whole({ min: 0, default: 1, doc: "first tokens that stay" }),
});
export type HalvesOptions = OptionsOf<typeof halvesOptions>;

export function halves(options: HalvesOptions): Policy {
  const { keep, sinks } = halvesOptions.read(options);
  return { name: "halves", budget: uniform(keep), score: recency, protect: first(sinks), schedule: whenOver() };
}
`;

  test("four files make a policy that runs, checks its options and has a table", async () => {
    write("packages/<name>/package.json", readText("packages/h2o/package.json").replaceAll("h2o", "halves"));
    write("packages/<name>/README.md", "# @ziggurat/halves\n");
    const file = write("packages/<name>/src/index.ts", source);
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    interface Halves {
      readonly halves: (options: { keep: number; sinks?: number }) => Policy;
      readonly halvesOptions: Options;
    }
    const { halves, halvesOptions } = (await import(file)) as Halves;
    expect(Object.values(halvesOptions.declared).map(({ values }) => values)).toEqual([
      "whole, more than `sinks`",
      "whole, at least 0",
    ]);
    expect(() => halves({ keep: 1 })).toThrow("halves: keep is 1; it must be a whole number of at least 2");
    const raw = (tokens: number) => ({
      q: new Float32Array(4 * tokens),
      k: new Float32Array(4 * tokens),
      v: new Float32Array(4 * tokens),
    });
    const { prefill, steps } = await runPolicy({
      policy: halves({ keep: 3 } satisfies OptionsOf<Options> & { keep: number }),
      backend: reference(),
      ...{ queryHeads: 1, kvHeads: 1, headSize: 4 },
      layers: [raw(8)],
      steps: [[raw(1)]],
    });
    // biome-ignore format: two lists
    expect([prefill.kept[0]![0], steps[0]!.kept[0]![0]]).toEqual([[0, 6, 7], [0, 7, 8]]);
  });
});
