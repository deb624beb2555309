import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { apiTexts } from "../api.mjs";
import { filesUnder, publishable, readText, root } from "../workspace.js";

// Detects change only: docs/api shows a change of the public surface in review. It reads what was built.

const texts = apiTexts();

test("docs/api has one file for each package with exports", () => {
  const libraries = publishable.filter(({ path, manifest }) => path.startsWith("packages/") && manifest.exports?.["."]);
  expect([...texts.keys()].toSorted()).toEqual(libraries.map(({ folder }) => folder).toSorted());
  expect(filesUnder("docs/api").toSorted()).toEqual(
    [...texts.keys()].map((name) => `docs/api/${name}.d.ts`).toSorted(),
  );
});

test.each([...texts])("docs/api/%s.d.ts shows the built declarations; `npm run api` updates it", (name, text) => {
  const path = `docs/api/${name}.d.ts`;
  expect(existsSync(join(root, path)) ? readText(path) : "").toBe(text);
  expect(text).toMatch(/^export /m);
});
