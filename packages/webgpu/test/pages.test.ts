import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cpu } from "@ziggurat/cpu";
import { opNames } from "@ziggurat/tensor";
import { type Browser, chromium, type Page } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import { afterAll, describe, expect } from "vitest";
import { chromiumFlags } from "../../../scripts/browser.js";
import { chromium as needsChromium, testWith } from "../../../scripts/requirements.js";
import { type Answer, answers, differences, question } from "./support/answers.js";

// The package as a web page uses it: built by a bundler, in headless Chromium, whose WebGPU is SwiftShader.

const root = fileURLToPath(new URL("fixtures/pages/", import.meta.url));

describe("a built page", () => {
  let folder: string | undefined;
  let server: PreviewServer | undefined;
  let browser: Browser | undefined;
  let opened: Promise<Page> | undefined;

  const open = async (executablePath: string): Promise<Page> => {
    folder = await mkdtemp(join(tmpdir(), "ziggurat-webgpu-"));
    const common = { root, base: "./", configFile: false, logLevel: "error" } as const;
    await build({ ...common, build: { outDir: folder, target: "es2022", emptyOutDir: true } });
    server = await preview({ ...common, build: { outDir: folder }, preview: { host: "127.0.0.1", port: 0 } });
    browser = await chromium.launch({ executablePath, args: [...chromiumFlags] });
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(server.resolvedUrls!.local[0]!);
    await page.waitForFunction("globalThis.loaded === true").catch(() => {
      throw new Error(`the page did not load: ${problems.join("; ")}`);
    });
    return page;
  };
  const page = (path: string): Promise<Page> => (opened ??= open(path));

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    if (folder) await rm(folder, { recursive: true });
  });

  testWith(
    needsChromium,
    "conforms",
    async (path) => {
      // conformance.test.ts runs all cases on the same driver in Node. Here a third of them run, which takes minutes.
      const { device, run, failures } = (await (await page(path)).evaluate("conformance(3)")) as Conformance;
      expect(failures, device).toEqual([]);
      expect(new Set(run)).toEqual(new Set(opNames));
    },
    600_000,
  );

  testWith(
    needsChromium,
    "gives the answers of the CPU, with the same rows and bytes, under every policy and in a batch of two",
    async (path) => {
      const prompt = await question();
      const expected = await answers(await cpu({ threads: 2 }), prompt, { gaps: true });
      const got = (await (await page(path)).evaluate(`answers(${JSON.stringify(prompt)})`)) as Answer[];
      expect(differences(expected, got)).toEqual([]);
    },
    600_000,
  );
});

interface Conformance {
  readonly device: string;
  readonly run: readonly string[];
  readonly failures: readonly string[];
}
