import { createReadStream } from "node:fs";
import { mkdir, readFile, stat } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, resolve, sep } from "node:path";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import type { PageRates, PageTask } from "./questions.js";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wasm": "application/wasm",
};

export interface BrowserPaths {
  /** The workspace. */
  readonly root: string;
  /** Where peers are installed, and built pages go. */
  readonly folder: string;
  readonly model: string;
  readonly chromium: string;
}

/** Measures in pages that are cross-origin isolated, each in a separate Chromium. */
export class Pages {
  readonly #paths: BrowserPaths;
  readonly #server: Server;

  private constructor(paths: BrowserPaths, server: Server) {
    this.#paths = paths;
    this.#server = server;
  }

  /** Builds the pages and serves them on 127.0.0.1. */
  static async open(paths: BrowserPaths): Promise<Pages> {
    const { root, folder } = paths;
    const pages = join(folder, "pages");
    await mkdir(pages, { recursive: true });
    const entry = (name: string) => join(root, "apps/bench/dist/peers", `page-${name}.js`);
    await build({
      entryPoints: { ours: entry("ours"), wllama: entry("wllama") },
      bundle: true,
      format: "esm",
      target: "es2022",
      outdir: pages,
      logLevel: "error",
    });
    const folders: readonly (readonly [prefix: string, folder: string])[] = [
      ["/pages/", pages],
      // Where a bundle in /pages/ looks for the CPU backend's worker and kernels.
      ["/dist/", join(root, "packages/cpu/dist")],
      ["/wasm/", join(root, "packages/cpu/wasm")],
      ["/wllama/", join(folder, "node_modules/@wllama/wllama")],
    ];
    const server = createServer(async ({ url = "/" }, response) => {
      const path = decodeURIComponent(new URL(url, "http://127.0.0.1").pathname);
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
      const name = /^\/(ours|wllama)$/.exec(path)?.[1];
      if (name) {
        response.setHeader("Content-Type", "text/html");
        response.end(`<!doctype html><title>${name}</title><script type="module" src="/pages/${name}.js"></script>`);
        return;
      }
      if (path === "/model.gguf") {
        response.setHeader("Content-Length", (await stat(paths.model)).size);
        createReadStream(paths.model).pipe(response);
        return;
      }
      const found = folders.find(([prefix]) => path.startsWith(prefix));
      const file = found && resolve(found[1], path.slice(found[0].length));
      const body = found && file?.startsWith(found[1] + sep) ? await readFile(file).catch(() => undefined) : undefined;
      response.writeHead(body ? 200 : 404, { "Content-Type": types[extname(path)] ?? "application/octet-stream" });
      response.end(body);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return new Pages(paths, server);
  }

  /** Rejects if the page fails or has not answered within `seconds`. */
  async measure(
    name: "ours" | "wllama",
    task: PageTask,
    seconds: number,
  ): Promise<PageRates & { readonly browser: string }> {
    const browser = await chromium.launch({ executablePath: this.#paths.chromium, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      page.setDefaultTimeout(1000 * seconds);
      await page.goto(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${name}`);
      await page.waitForFunction("typeof measure === 'function'", undefined, { timeout: 30_000 }).catch(() => {
        throw new Error(`the page ${name} did not load: ${problems.join("; ")}`);
      });
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`the page ${name} gave no answer within ${seconds} s; ${problems.join("; ")}`)),
          1000 * seconds,
        );
      });
      const rates = (await Promise.race([page.evaluate(`measure(${JSON.stringify(task)})`), late]).finally(() =>
        clearTimeout(timer),
      )) as PageRates;
      return { ...rates, browser: `Chromium ${browser.version()}` };
    } finally {
      await browser.close();
    }
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
