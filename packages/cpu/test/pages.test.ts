import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build as esbuild } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { build as vite } from "vite";
import { afterAll, beforeAll, describe, expect } from "vitest";
import webpack from "webpack";
import { chromium as needsChromium, testWith } from "../../../scripts/requirements.js";

// The package as a page's author gets it: built pages, served from 127.0.0.1, with and without cross-origin isolation.

const fixtures = fileURLToPath(new URL("fixtures/pages/", import.meta.url));
const root = fileURLToPath(new URL("..", import.meta.url));
const html = '<!doctype html><title>Ziggurat</title><script type="module" src="./assets/page.js"></script>';

/** What the smoke test's product must be. */
const product = Array.from({ length: 8 * 40 }, (_, at) => {
  const [r, o] = [Math.floor(at / 40), at % 40];
  return Array.from({ length: 64 }, (_, i) => ((r * 64 + i) % 7) * ((o * 64 + i) % 5)).reduce((a, b) => a + b, 0);
});

const bundlers: Record<string, (folder: string) => Promise<void>> = {
  async vite(folder) {
    await vite({
      root: fixtures,
      base: "./",
      configFile: false,
      logLevel: "error",
      build: { outDir: folder, target: "es2022" },
    });
  },
  async webpack(folder) {
    const entry = { page: join(fixtures, "smoke.js") };
    const compiler = webpack({
      mode: "production",
      entry,
      output: { path: join(folder, "assets") },
      performance: false,
    });
    await new Promise<void>((resolve, reject) => {
      compiler?.run((error, stats) => {
        const problem = error ?? (stats?.hasErrors() ? new Error(stats.toString("errors-only")) : undefined);
        compiler.close(() => (problem ? reject(problem) : resolve()));
      });
    });
    await writeFile(join(folder, "index.html"), html);
  },
  async esbuild(folder) {
    await esbuild({
      entryPoints: { page: join(fixtures, "smoke.js") },
      bundle: true,
      format: "esm",
      outdir: join(folder, "assets"),
      logLevel: "error",
    });
    // esbuild leaves `new URL(..., import.meta.url)` alone: what it points to has to lie beside, as in the package.
    for (const part of ["dist/worker.js", "wasm"]) await cp(join(root, part), join(folder, part), { recursive: true });
    await writeFile(join(folder, "index.html"), html);
  },
};

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };

function serve(folder: string, isolated: boolean): Promise<Server> {
  const headers = isolated
    ? { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" }
    : {};
  const server = createServer(async ({ url = "/" }, response) => {
    const path = new URL(url, "http://127.0.0.1").pathname;
    const body = await readFile(join(folder, path === "/" ? "index.html" : path)).catch(() => undefined);
    response.writeHead(body ? 200 : 404, { "Content-Type": types[extname(path)] ?? "text/html", ...headers });
    response.end(body);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

describe("built pages", () => {
  let folder: string;
  let browser: Browser | undefined;
  const servers: Server[] = [];

  const open = async (executablePath: string, bundler: string, isolated: boolean, other?: Browser) => {
    if (!other) browser ??= await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    const server = await serve(join(folder, bundler), isolated);
    servers.push(server);
    const page = await (other ?? browser!).newPage();
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.waitForFunction("globalThis.loaded === true").catch(() => {
      throw new Error(`the page did not load: ${problems.join("; ")}`);
    });
    return page;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ziggurat-pages-"));
  });
  afterAll(async () => {
    await browser?.close();
    for (const server of servers) server.close();
    await rm(folder, { recursive: true });
  });

  for (const [bundler, build] of Object.entries(bundlers)) {
    describe(bundler, () => {
      testWith(needsChromium, "runs, isolated and not", async (path) => {
        await mkdir(join(folder, bundler));
        await build(join(folder, bundler));

        const isolated = await open(path, bundler, true);
        const shared = (await isolated.evaluate("smoke({ threads: 2 })")) as Smoke;
        expect(shared.features).toEqual({ threads: 2, simd: "relaxed", sharedMemory: true });
        expect(shared.out).toEqual(product);
        expect(shared.isolated).toBe(true);

        const plain = await open(path, bundler, false);
        const single = (await plain.evaluate("smoke({ threads: 2 })")) as Smoke;
        expect(single.features).toEqual({ threads: 1, simd: "relaxed", sharedMemory: false });
        expect(single.out).toEqual(product);
        expect(single.isolated).toBe(false);
      });
    });
  }

  for (const [name, isolated, options] of [
    ["relaxed SIMD, two threads", true, { threads: 2, simd: "relaxed" }],
    ["base SIMD, memory that is not shared", false, { simd: "base" }],
  ] as const) {
    testWith(
      needsChromium,
      `conforms in Chromium: ${name}`,
      async (path) => {
        const page = await open(path, "vite", isolated);
        const result = (await page.evaluate(`conformance(${JSON.stringify(options)})`)) as Conformance;
        expect(result.failures).toEqual([]);
        expect(result.run).toBeGreaterThan(100);
        expect(result.features.simd).toBe(options.simd);
      },
      180_000,
    );
  }

  for (const [name, flags] of [
    ["as it is", []],
    ["without VNNI", ["--js-flags=--no-enable-avx-vnni"]],
  ] as const) {
    testWith(needsChromium, `multiplies bytes in Chromium as the machine does, ${name}`, async (path) => {
      const other = await chromium.launch({ executablePath: path, args: ["--no-sandbox", ...flags] });
      try {
        const page = await open(path, "vite", false, other);
        const { wrong, found, ...errors } = (await page.evaluate("byteProducts(12)")) as ByteProducts;
        expect(wrong).toBe(0);
        expect([-1, 0, 128]).toContain(found);
        if (flags.length > 0 && process.arch === "x64") expect(found).toBe(-1);
        // Without bytes there are products of 16 bits.
        expect(errors.plain, `zero point ${found}, seed 12`).toBeLessThan(found < 0 ? 1e-3 : 0.02);
        expect(errors.outliers, `zero point ${found}, seed 12`).toBeLessThan(0.02);
      } finally {
        await other.close();
      }
    });
  }
});

interface ByteProducts {
  readonly wrong: number;
  readonly found: number;
  readonly plain: number;
  readonly outliers: number;
}

interface Smoke {
  readonly device: string;
  readonly features: Readonly<Record<string, unknown>>;
  readonly out: readonly number[];
  readonly isolated: boolean;
}

interface Conformance {
  readonly features: Readonly<Record<string, unknown>>;
  readonly run: number;
  readonly failures: readonly string[];
}
