import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { type PreviewServer, preview } from "vite";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { chromiumFlags } from "../../../scripts/browser.js";
import { chromium as needsChromium, testWith } from "../../../scripts/requirements.js";
import { bytes } from "../src/format.js";

// The built page in headless Chromium, used as a person uses it.

const root = fileURLToPath(new URL("..", import.meta.url));
const line = "The garden was quiet and the old wall stood in the sun.";
/** K and V of 60 rows in 16 layers and 2 KV heads, in bf16 with their positions, and the tables beside them. */
const kvOf60Rows = bytes(16 * 60 * 2 * (2 * 64 * 2 + 4) + 4 * (3 * 16 * 2 + 2 + 1));
/** On the page: keeps the newest device where a test can destroy it. */
const rememberDevice = `if (globalThis.GPUAdapter) {
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    return (globalThis.newestDevice = await request.apply(this, given));
  };
}`;
const story = [line, line, "Clara lives in Vienna.", line, line].join("\n");

describe("the page", () => {
  let folder: string;
  let server: PreviewServer;
  const browsers = new Map<string, Browser>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ziggurat-web-"));
    server = await preview({ root, logLevel: "error", preview: { host: "127.0.0.1", port: 0 } });
  });
  afterAll(async () => {
    for (const browser of browsers.values()) await browser.close();
    await server.close();
    await rm(folder, { recursive: true });
  });

  /** The page once it is ready to answer, on `backend`. */
  const open = async (
    executablePath: string,
    backend: "WebGPU" | "CPU",
    flags: readonly string[] = chromiumFlags,
  ): Promise<Page> => {
    const key = flags.join(" ");
    const browser = browsers.get(key) ?? (await chromium.launch({ executablePath, args: [...flags] }));
    browsers.set(key, browser);
    const page = await browser.newPage();
    await page.addInitScript(rememberDevice);
    await page.goto(server.resolvedUrls!.local[0]!);
    const radio = page.getByRole("radio", { name: backend });
    if (!(await radio.isChecked())) await radio.check();
    await page.getByRole("button", { name: "Ask" }).isEnabled();
    return page;
  };
  const ask = async (
    page: Page,
    { document = story, question = "Where does Clara live?", policy = "pyramidkv", keep = "60" } = {},
  ) => {
    await page.getByLabel("Document").fill(document);
    await page.getByLabel("Question").fill(question);
    await page.getByLabel("Policy").selectOption(policy);
    if (policy !== "full") await page.getByLabel("Keep per layer").fill(keep);
    await page.getByRole("button", { name: "Ask" }).click();
  };
  const rows = async (page: Page) => (await page.locator("#stack output").allTextContents()).map(Number);
  const cell = (page: Page, column: number) =>
    page.locator("#history tbody tr").first().locator("td").nth(column).textContent();
  /** Waits for an answer; fails with what the page says instead of one. */
  const answered = async (page: Page, count = 1) => {
    await page.waitForFunction((wanted) => document.querySelectorAll("#history tbody tr").length >= wanted || !document.querySelector("#error")?.hasAttribute("hidden"), count, { timeout: 300_000 }); // biome-ignore format: one condition
    expect(await page.locator("#error:not([hidden])").allTextContents()).toEqual([]);
  };

  testWith(
    needsChromium,
    "answers on the CPU, showing rows and bytes, and remembers what each policy took",
    async (path) => {
      const page = await open(path, "CPU");
      await ask(page, { policy: "full" });
      await answered(page);
      expect(await page.locator("#answer").textContent()).toBe("Vienna");
      const full = await rows(page);
      expect(full).toHaveLength(16);
      expect(new Set(full).size).toBe(1);

      await ask(page);
      await answered(page, 2);
      expect(await page.locator("#answer").textContent()).toBe("Vienna");
      // Layer 15 is at the top; the prompt's rows and those of the answer.
      const pyramid = await rows(page);
      expect(pyramid).toEqual([...pyramid].sort((a, b) => a - b));
      expect(pyramid.at(-1)).toBeGreaterThan(pyramid[0]! + 30);
      const appended = full[0]! - Number(await cell(page, 6));
      expect(pyramid.reduce((sum, held) => sum + held - appended, 0)).toBe(16 * 60);
      expect([await cell(page, 0), await cell(page, 1), await cell(page, 7)]).toEqual([
        "pyramidkv 60",
        "Vienna",
        "cpu",
      ]);
      expect(await cell(page, 2)).toBe(kvOf60Rows);
      expect(await page.locator("#meters dd").allTextContents()).toEqual([
        expect.stringMatching(/kB$/),
        expect.stringMatching(/kB$/),
        "0 B",
      ]);
      await page.close();
    },
    300_000,
  );

  testWith(
    needsChromium,
    "answers on WebGPU, stops on request, and loads the model again after the device was lost",
    async (path) => {
      const page = await open(path, "WebGPU");
      await ask(page);
      await page.getByRole("button", { name: "Stop" }).click();
      await page.getByText("Stopped").waitFor();
      await ask(page);
      await answered(page);
      expect([await cell(page, 0), await cell(page, 1), await cell(page, 7)]).toEqual([
        "pyramidkv 60",
        "Vienna",
        "webgpu",
      ]);
      expect(await cell(page, 2)).toBe(kvOf60Rows);
      await page.evaluate("newestDevice.destroy()");
      await ask(page);
      await page.getByRole("alert").filter({ hasText: "The graphics device was lost" }).waitFor();
      await page.getByText("Ready: Pebble on").waitFor();
      await page.close();
    },
    300_000,
  );

  testWith(
    needsChromium,
    "says in words what is wrong, and stays usable",
    async (path) => {
      const page = await open(path, "CPU", ["--no-sandbox", "--disable-features=WebGPU", "--disable-gpu"]);
      await page.getByText(/WebGPU (finds|has|needs)|no WebGPU/).waitFor();
      expect(await page.getByRole("radio", { name: "WebGPU" }).isDisabled()).toBe(true);
      const error = page.getByRole("alert");
      const says = async (words: RegExp) => {
        await error.filter({ hasText: words }).waitFor();
        expect(await page.getByRole("button", { name: "Ask" }).isEnabled()).toBe(true);
      };
      await ask(page, { document: " " });
      await says(/There is no document/);
      await ask(page, { question: "" });
      await says(/There is no question/);
      await ask(page, { keep: "many" });
      await says(/“many” is no budget. Write a number of rows/);
      await ask(page, { policy: "snapkv", keep: "8" });
      await says(/snapkv: keep is 8; it must be more than window, 32/);
      await ask(page, { document: `${line}\n`.repeat(1300) });
      await says(/The document is too long: it has 1\d,\d{3} tokens with the question, and pebble reads 16,384 tokens/);
      const files: readonly [string, Uint8Array | string, RegExp][] = [
        ["latin1.txt", Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x0a), /“latin1.txt” is not UTF-8 text/],
        ["long.txt", "a".repeat(1_200_000), /“long.txt” is too long: it has 1.2 MB/],
        ["empty.txt", "\n", /“empty.txt” is empty/],
      ];
      for (const [name, content, words] of files) {
        await writeFile(join(folder, name), content);
        await page.locator("#file").setInputFiles(join(folder, name));
        await says(words);
      }
      await page.getByRole("button", { name: "Make a sample" }).click();
      await page.getByText(/^[12],\d{3} of 16,384 tokens$/).waitFor();
      expect(await page.getByLabel("Question").inputValue()).toMatch(/\?$/);
      await ask(page, {});
      await answered(page);
      expect(await cell(page, 1)).toBe("Vienna");
      await page.close();
    },
    300_000,
  );
});
