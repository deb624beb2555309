import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkSpec, type OpName, weightDTypes } from "@ziggurat/tensor";
import { cases } from "@ziggurat/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compiler, nvcc, testWith } from "../../../scripts/requirements.js";
// @ts-expect-error: a script in JavaScript, typed below.
import * as scripts from "../scripts/toolchain.mjs";
import { type Addon, loadAddon } from "../src/addon.js";
import { CudaError, cuda } from "../src/index.js";
import type { Plan, Work } from "../src/launch.js";
import { plans } from "../src/plan.js";
import { type FusedSpec, fusedPlans } from "../src/plans/fused.js";

interface Resources {
  readonly kernel: string;
  readonly stack: number;
  readonly spills: number;
  readonly registers: number;
}
const { buildAddon, findCompiler, findNvcc, parameters, resources } = scripts as {
  buildAddon(compiler: object, to: string): void;
  findCompiler(): object | undefined;
  findNvcc(): string | undefined;
  parameters(nvcc: string, source: string, to: string): { kernel: string; bytes: number[] }[];
  resources(nvcc: string, source: string): Resources[];
};

const native = fileURLToPath(new URL("../native", import.meta.url));
const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const files = readdirSync(native).filter((name) => name.endsWith(".cu"));
const folder = mkdtempSync(join(tmpdir(), "ziggurat-cuda-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("every op has a file of kernels of its name; the others hold fused kernels", () => {
  expect(
    files
      .filter((name) => !name.endsWith(".sm90a.cu") && !name.startsWith("fused-"))
      .map((name) => name.slice(0, -3))
      .sort(),
  ).toEqual(Object.keys(plans).map(kebab).sort());
});

test("every kernel waits for the launches before it, which it may overlap", () => {
  for (const file of files) {
    const text = readFileSync(join(native, file), "utf8");
    // The text from each kernel's declaration to the next one.
    const parts = text.split(/^.*(?:KERNEL |__global__ )/m).slice(1);
    expect(parts.length, file).toBeGreaterThan(0);
    // `linear_few` and `decode_tile` wait themselves, after they have started loads.
    for (const part of parts) expect(part, file).toMatch(/\bbegin\(\);|\blinear_few<|\bdecode_tile</);
  }
});

/**
 * Registers that a thread may have, so that as many blocks fit on a multiprocessor (65536 registers) as a kernel counts
 * on.
 */
const limits: readonly (readonly [kernel: RegExp, registers: number])[] = [
  [/^(topk|sample|evict|rms_norm|log_probability)/, 64],
  // Three blocks of 256 threads fit.
  [/^through$/, 80],
  // Two blocks of 128 threads, or one of 256, fit.
  [/^(linear|attention)_tile_/, 255],
  // One block of 384 threads, whose warps share the registers out anew.
  [/^(linear|attention)_hopper_/, 168],
  [/^watch_tile_/, 170],
  [/^decode_attention_(tile|slot)_/, 255],
  [/^(linear_few|norm_linear|gated_linear|rope_linear)_q/, 255],
  [/^(norm|gated|rope)_linear_/, 168],
  [/^linear_few_/, 160],
  [/^decode_attention_.*_(1|4)$/, 128],
  [/^watch_/, 96],
  [/./, 64],
];

describe("kernels", () => {
  for (const file of files) {
    testWith(
      nvcc,
      `native/${file} compiles without a warning; no kernel spills or has more registers than it should`,
      () => {
        const found = resources(findNvcc()!, join(native, file));
        const declared = readFileSync(join(native, file), "utf8").match(/KERNEL |__global__ /g)!;
        expect(found.length).toBeGreaterThanOrEqual(Math.min(1, declared.length));
        const wrong = found.filter(({ kernel, stack, spills, registers }) => {
          const [, most] = limits.find(([pattern]) => pattern.test(kernel))!;
          return spills > 0 || stack > 0 || registers > most;
        });
        expect(wrong).toEqual([]);
      },
      180_000,
    );
  }
});

/** Specs of fused groups: all weights, and rows for every kernel. */
function* groupsOfSpecs(): Generator<[keyof typeof fusedPlans, readonly FusedSpec[]]> {
  for (const weight of weightDTypes) {
    for (const rows of [1, 2, 4, 8, 16]) {
      const norm = { rows, width: 64, epsilon: 1e-5 };
      const linear = { rows, width: 64, out: 64, weight };
      const heads = { sequences: rows, tokens: 1, queryHeads: 2, kvHeads: 1, headSize: 16, rotary: 16, tableRows: 8 };
      const append = { ...heads, arenaRows: 64, planes: 1, kv: "bf16" };
      const gated = { rows, width: 64, kind: "silu" };
      const groups = {
        ...{ normLinear: [norm, linear], gatedLinear: [gated, linear], normLinearGated: [norm, linear, gated] },
        normLinearRopeAppend: [norm, linear, heads, append],
      };
      for (const [fusion, specs] of Object.entries(groups))
        yield [fusion as keyof typeof groups, specs as unknown as readonly FusedSpec[]];
    }
  }
}

testWith(
  nvcc,
  "every launch names a kernel that there is, and gives it the arguments that it takes",
  () => {
    const found = files.flatMap((file) =>
      parameters(findNvcc()!, join(native, file), join(folder, "kernels.ptx")).map((kernel) => ({ file, ...kernel })),
    );
    const kernels = new Map(found.map(({ kernel, ...rest }) => [kernel, rest]));
    const launched = new Set<string>();
    const check = ({ launches }: Work, name: string) => {
      for (const launch of launches) {
        if ("product" in launch) {
          expect(launch.args, name).toHaveLength(6);
          continue;
        }
        const kernel = kernels.get(launch.kernel);
        expect(kernel?.file, name).toBe(`${launch.file}.cu`);
        const given = launch.args.map((argument) => ("operand" in argument ? 8 : 4));
        const words = (bytes: readonly number[]) =>
          bytes.flatMap((size) => (size === 8 ? [8] : new Array<number>(size / 4).fill(4)));
        expect(words(given), `${launch.kernel} for ${name}`).toEqual(words(kernel!.bytes));
        for (const axis of launch.grid) expect(axis, name).toBeGreaterThan(0);
        launched.add(launch.kernel);
      }
    };
    const places = [true, false].flatMap((hopper) => [true, false].map((cublasLt) => ({ hopper, cublasLt })));
    for (const { op, spec, name } of cases) {
      const plan = plans[op] as Plan<OpName>;
      for (const place of places)
        for (const aligned of [true, false])
          check(plan(checkSpec(op, spec as never) as never, { ...place, aligned, multiprocessors: 132 }), name);
    }
    for (const [fusion, specs] of groupsOfSpecs()) {
      const work = fusedPlans[fusion](specs, { hopper: false, cublasLt: false, aligned: true, multiprocessors: 132 });
      if (work) check(work, `${fusion} ${JSON.stringify(specs)}`);
    }
    expect([...kernels.keys()].filter((kernel) => !launched.has(kernel))).toEqual([]);
  },
  180_000,
);

describe("the addon", () => {
  let addon: Addon | undefined;
  const path = join(folder, "ziggurat.node");
  beforeAll(() => {
    const found = findCompiler();
    if (!found) return;
    buildAddon(found, path);
    addon = loadAddon(path);
  }, 120_000);

  testWith(compiler, "compiles without a warning and loads", () => {
    expect(Object.keys(addon!).sort()).toContain("launch");
  });

  testWith(compiler, "says why there is no driver, or opens a device", async (_, { skip }) => {
    if (addon!.probe() === undefined) skip("there is a driver here");
    const error: unknown = await cuda({ binaries: { addon: path, kernels: path } }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CudaError);
    expect((error as CudaError).message).toMatch(/libcuda\.so\.1/);
  });

  testWith(compiler, "refuses arguments that make no sense, and does not crash", () => {
    const calls = [
      () => addon!.open(0, undefined as never, undefined),
      () => addon!.launch({} as never, new Uint8Array(8)),
      () => addon!.allocate(undefined as never, 1, 1),
      () => addon!.read(3 as never, 1, 1, 1, 1),
    ];
    for (const call of calls) expect(call).toThrow();
  });
});

test("options and binaries that are not there fail with a typed error", async () => {
  const missing = { addon: join(folder, "nothing.node"), kernels: join(folder, "nothing.bin") };
  for (const options of [
    { device: -1 },
    { device: 0.5 },
    { maxBytes: 0 },
    { cublasLt: true as never },
    { binaries: missing },
  ]) {
    const error: unknown = await cuda(options).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CudaError);
  }
});
