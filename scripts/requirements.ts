import { existsSync } from "node:fs";
import { type TestContext, test } from "vitest";

// What some tests need and a fresh clone lacks. Tests ask here, so that every skip names its reason and
// `ZIGGURAT_REQUIRE` can forbid it.

export interface Requirement {
  readonly name: string;
  /** Where it is, or undefined where it is not. */
  readonly path: string | undefined;
  /** What would make it present. */
  readonly remedy: string;
}

/**
 * The path that a variable names, or where it is not set a usual one; undefined where nothing is there. Set but empty,
 * the variable hides the usual path.
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

/** A driver for WebGPU in Node: SwiftShader, Vulkan in software, by its ICD file. libvulkan1 loads it. */
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
    "pip install nvidia-cuda-nvcc nvidia-nvvm nvidia-cuda-crt nvidia-cuda-runtime nvidia-cuda-cccl (13.0.*) into a virtual environment, and name it in ZIGGURAT_NVCC_ENV",
};

/** A C++ compiler. */
export const compiler: Requirement = {
  name: "compiler",
  path: find("CXX", "/usr/bin/c++"),
  remedy: "install a C++ compiler, or name one in CXX",
};

const all = [chromium, vulkan, models, nvcc, compiler];
const required = (process.env.ZIGGURAT_REQUIRE ?? "").split(",").filter((name) => name !== "");
for (const name of required) {
  if (!all.some((known) => known.name === name)) {
    throw new Error(`ZIGGURAT_REQUIRE names ${name}; it may name ${all.map((known) => known.name).join(", ")}`);
  }
}

/**
 * A test that needs `requirement` and gets its path. Where it is absent the test skips and says why, or fails if
 * `ZIGGURAT_REQUIRE` names it.
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
