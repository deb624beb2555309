import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect } from "vitest";
import { compiler, full, testWith } from "../../../scripts/requirements.js";
// @ts-expect-error: a script in JavaScript, typed below.
import * as host from "../scripts/host.mjs";
// @ts-expect-error: a script in JavaScript, typed below.
import * as toolchain from "../scripts/toolchain.mjs";

// The whole backend on a machine without a GPU: a stand-in for libcuda.so.1 runs the kernels on the host (host/), and
// the conformance suite holds every op against the float64 reference, as on a GPU. It does not cover the kernels for
// compute capability 9.0 (native/*.sm90a.cu), cuBLASLt, and the arithmetic of the approximate instructions.

const { buildHost } = host as { buildHost(compiler: object, to: string): Promise<void> };
const { findCompiler } = toolchain as { findCompiler(): object };

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "node_modules/.cache/host");

let ready: Promise<void> | undefined;
async function prepare(): Promise<void> {
  await buildHost(findCompiler(), folder);
  await build({
    entryPoints: [join(root, "bench/suite.ts")],
    outfile: join(folder, "suite.mjs"),
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@ziggurat/source"],
    external: ["@ziggurat/cuda-linux-x64", "@ziggurat/cpu"],
    alias: { vitest: join(root, "bench/vitest.ts") },
    logLevel: "warning",
  });
}

interface Tally {
  readonly passed: number;
  readonly failures: readonly { readonly name: string; readonly message: string }[];
}

/** Runs the tests of the suite whose names contain `filter`, in a process that finds the stand-in for the driver. */
async function suite(filter: string, name: string): Promise<Tally> {
  const results = join(folder, `${name}.json`);
  const environment = { ...process.env, LD_LIBRARY_PATH: folder, CUBLAS_LT: "", KERNELS: "kernels.bin" };
  const child = spawn(process.execPath, [join(folder, "suite.mjs"), filter, results], { env: environment });
  const output: Buffer[] = [];
  child.stdout.on("data", (part: Buffer) => output.push(part));
  child.stderr.on("data", (part: Buffer) => output.push(part));
  const code = await new Promise((resolve) => child.on("close", resolve));
  if (code !== 0 && code !== 1) throw new Error(`the suite ended with ${String(code)}:\n${Buffer.concat(output)}`);
  return JSON.parse(readFileSync(results, "utf8")) as Tally;
}

describe.concurrent("the conformance suite with the kernels on the host", () => {
  const runs = [
    ["seed 1, aligned", "aligned operands"],
    ["seed 2, unaligned", "unaligned operands"],
    ["fused programs", "fused programs"],
    ...(full ? [["seed 3", "operands of random alignment"] as const] : []),
  ] as const;
  for (const [filter, what] of runs) {
    testWith(
      compiler,
      what,
      async () => {
        await (ready ??= prepare());
        const { passed, failures } = await suite(filter, filter.replaceAll(/\W+/g, "-"));
        expect(failures).toEqual([]);
        expect(passed).toBeGreaterThan(filter.startsWith("seed") ? 600 : 10);
      },
      600_000,
    );
  }
});
