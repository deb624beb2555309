import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { trustsRelaxed } from "../src/host.js";
import { byteErrors, Kernels } from "./fixtures/byte-products.js";

// What pages.test.ts does in Chromium, with the builds that this version of Node can run.

const compiled = async (build: string) =>
  WebAssembly.compile(await readFile(new URL(`../wasm/${build}.wasm`, import.meta.url)));
const seed = 11;

describe("matrix products by bytes", () => {
  it("are exact but for rounding with base SIMD, which has them for comparison only", async () => {
    const kernels = new Kernels(await compiled("base-single"));
    expect(kernels.wrong).toBe(0);
    expect(kernels.found).toBe(-1);
    const { plain, outliers, alone } = byteErrors(kernels, 0, seed);
    expect(plain, `seed ${seed}`).toBeLessThan(0.02);
    expect(outliers, `seed ${seed}`).toBeLessThan(0.02);
    expect(alone, `seed ${seed}`).toBe(true);
  });

  for (const zeroPoint of [0, 128]) {
    it(`are with relaxed SIMD and zero point ${zeroPoint}`, async ({ skip }) => {
      const module = trustsRelaxed() ? await compiled("relaxed-single").catch(() => undefined) : undefined;
      if (!module) return skip("this version of Node has no relaxed SIMD (22 has); pages.test.ts runs it in Chromium");
      const kernels = new Kernels(module);
      expect(kernels.wrong).toBe(0);
      expect([-1, 0, 128]).toContain(kernels.found);
      const other = kernels.found !== zeroPoint;
      if (other && zeroPoint > 0) return skip("this machine does not take bytes for unsigned");
      // Bytes without signs give the same result on every machine. The rounding errors of outliers have signs.
      const { plain, outliers, alone } = byteErrors(kernels, zeroPoint, seed, other);
      expect(plain, `seed ${seed}`).toBeLessThan(0.02);
      if (!other) expect(outliers, `seed ${seed}`).toBeLessThan(0.02);
      expect(alone, `seed ${seed}`).toBe(true);
    });
  }
});
