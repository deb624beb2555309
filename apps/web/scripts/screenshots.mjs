// Pictures of the built page for the docs, by a headless Chromium: pnpm --filter @ziggurat/web build, then pnpm
// --filter @ziggurat/web screenshots
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { preview } from "vite";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const executablePath = process.env.ZIGGURAT_CHROMIUM ?? "/usr/bin/chromium";
const flags = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--ignore-gpu-blocklist",
];

const server = await preview({ root: here(".."), preview: { port: 0, host: "127.0.0.1" }, logLevel: "error" });
const browser = await chromium.launch({ executablePath, args: flags });
const desktop = { width: 1200, height: 860 };
const phone = { width: 390, height: 844 };
const shots = [
  { name: "light", viewport: desktop, colorScheme: "light", before: true },
  { name: "dark", viewport: desktop, colorScheme: "dark", reading: true },
  { name: "phone", viewport: phone, colorScheme: "light", before: true },
  { name: "phone-dark", viewport: phone, colorScheme: "dark" },
];
try {
  for (const { name, viewport, colorScheme, before = false, reading = false } of shots) {
    const page = await browser.newPage({ viewport, colorScheme, reducedMotion: "reduce" });
    page.on("pageerror", (error) => console.error(String(error)));
    const save = (moment) => page.screenshot({ path: here(`../../../docs/web/${name}-${moment}.png`), fullPage: true });
    await page.goto(server.resolvedUrls.local[0]);
    // In software WebGPU is slow; the pictures are of the CPU's answers.
    await page.getByRole("radio", { name: "CPU" }).check();
    await page.getByText("Ready: Pebble").waitFor();
    if (before) await save("before");
    await page.getByRole("button", { name: "Make a sample" }).click();
    for (const [index, policy] of ["full", "pyramidkv"].entries()) {
      await page.getByLabel("Policy").selectOption(policy);
      await page.getByRole("button", { name: "Ask" }).click();
      if (reading && policy === "pyramidkv") {
        await page.waitForFunction(() =>
          / in (8|9|10) of 16 layers/.test(document.querySelector("#stack-caption").textContent),
        );
        await save("reading");
      }
      await page.waitForFunction((rows) => document.querySelectorAll("#history tbody tr").length === rows, index + 1, {
        timeout: 120_000,
      });
    }
    await save("after");
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
}
