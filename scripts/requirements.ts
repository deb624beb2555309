import { existsSync } from "node:fs";
import { type TestContext, test } from "vitest";

// Parts that some tests need and a fresh clone lacks. Tests ask here, so that each skip names its reason and
// `ZIGGURAT_REQUIRE` can forbid it.

export interface Requirement {
  readonly name: string;
  /** Where the part is; undefined if it is missing. */
  readonly path: string | undefined;
  /** How to provide the part. */
  readonly remedy: string;
}

/**
 * The path that a variable names, or the usual path if the variable is not set; undefined if nothing exists there. A
 * variable that is set but empty hides the usual path.
 */
const find = (variable: string, usual?: string): string | undefined => {
  const path = process.env[variable] ?? usual;
  return path && existsSync(path) ? path : undefined;
};

/** A Chromium or Chrome that runs headless. */
export const chromium: Requirement = {
  name: "chromium",
  path: find("ZIGGURAT_CHROMIUM", "/usr/bin/chromium"),
  remedy: "install Debian's chromium package, or name a Chromium in ZIGGURAT_CHROMIUM",
};

/** The ICD file of a driver for WebGPU in Node: SwiftShader, Vulkan in software. libvulkan1 loads it. */
export const vulkan: Requirement = {
  name: "vulkan",
  path: find("ZIGGURAT_VULKAN", "/usr/lib/chromium/vk_swiftshader_icd.json"),
  remedy:
    "install Debian's chromium and libvulkan1 packages, or name the ICD file of a Vulkan driver in ZIGGURAT_VULKAN",
};

/** A folder of models too large for the repository. */
export const models: Requirement = {
  name: "models",
  path: find("ZIGGURAT_MODELS"),
  remedy: "name a folder that holds the models in ZIGGURAT_MODELS",
};

/** A Python virtual environment that holds nvcc, NVIDIA's compiler of CUDA kernels. */
export const nvcc: Requirement = {
  name: "nvcc",
  path: find("ZIGGURAT_NVCC_ENV"),
  remedy:
    "pip install nvidia-cuda-nvcc nvidia-nvvm nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-cccl (13.0.*) into a " +
    "virtual environment, and name it in ZIGGURAT_NVCC_ENV",
};

/** A C++ compiler. */
export const compiler: Requirement = {
  name: "compiler",
  path: find("CXX", "/usr/bin/c++"),
  remedy: "install a C++ compiler, or name one in CXX",
};

export const requirements: readonly Requirement[] = [chromium, vulkan, models, nvcc, compiler];
const required = (process.env.ZIGGURAT_REQUIRE ?? "").split(",").filter((name) => name !== "");
for (const name of required) {
  if (!requirements.some((known) => known.name === name)) {
    throw new Error(
      `ZIGGURAT_REQUIRE names ${name}; it may name ${requirements.map((known) => known.name).join(", ")}`,
    );
  }
}

/**
 * Declares a test that needs `requirement` and calls `body` with its path. If the part is missing, the test skips and
 * says why, or fails if `ZIGGURAT_REQUIRE` names the part.
 */
export const testWith = (
  requirement: Requirement,
  title: string,
  body: (path: string, context: TestContext) => unknown,
  timeout?: number,
) =>
  test(title, { ...(timeout === undefined ? {} : { timeout }) }, async (context) => {
    const { name, path, remedy } = requirement;
    if (path !== undefined) return void (await body(path, context));
    if (required.includes(name)) throw new Error(`needs ${name}, which ZIGGURAT_REQUIRE promises: ${remedy}`);
    context.skip(`needs ${name}: ${remedy}`);
  });

const level = process.env.ZIGGURAT_TESTS ?? "quick";
if (level !== "quick" && level !== "full") {
  throw new Error(`ZIGGURAT_TESTS is ${level}; it must be quick or full`);
}

/** Whether full matrices and long runs are tested too: `ZIGGURAT_TESTS=full`, which `.ci/run` sets. */
export const full = level === "full";

/** Skips the rest of a test, and says why, unless `full` is set. */
export function longRun(context: TestContext): void {
  if (!full) context.skip("is a long run; set ZIGGURAT_TESTS=full, as .ci/run does");
}

/** Declares a test of a full matrix or a long run. It skips, and says why, unless `full` is set. */
export const testFull = (title: string, body: (context: TestContext) => unknown, timeout?: number) =>
  test(title, { ...(timeout === undefined ? {} : { timeout }) }, async (context) => {
    longRun(context);
    await body(context);
  });
