// Finds and calls nvcc and the C++ compiler.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The targets of the kernels: machine code, and PTX for future devices. */
export const targets = {
  all: [
    "compute_80,code=sm_80",
    "compute_89,code=sm_89",
    "compute_90a,code=sm_90a",
    "compute_100,code=sm_100",
    "compute_80,code=compute_80",
    "compute_100,code=compute_100",
  ],
  quick: ["compute_90a,code=sm_90a"],
  /** No machine code: the driver compiles the PTX. */
  ptx: ["compute_80,code=compute_80"],
};

const runs = (command, ...args) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

/**
 * Finds nvcc in the virtual environment that ZIGGURAT_NVCC_ENV names, or on the PATH; undefined if there is none.
 */
export function findNvcc() {
  const environment = process.env.ZIGGURAT_NVCC_ENV;
  if (environment) {
    const lib = join(environment, "lib");
    const pythons = existsSync(lib) ? readdirSync(lib).filter((name) => name.startsWith("python")) : [];
    const found = pythons.map((python) => join(lib, python, "site-packages/nvidia/cu13/bin/nvcc")).find(existsSync);
    if (found) return found;
  }
  return runs("nvcc", "--version") ? "nvcc" : undefined;
}

/** Finds a C++ compiler and the folder of Node's headers; undefined if one of them is missing. */
export function findCompiler() {
  const command = [process.env.CXX, "c++", "g++", "clang++"].find((name) => name && runs(name, "--version"));
  const headers = [
    join(dirname(process.execPath), "../include/node"),
    "/usr/include/node",
    join(root, "node_modules/node-api-headers/include"),
  ].find((folder) => existsSync(join(folder, "node_api.h")));
  return command && headers ? { command, headers } : undefined;
}

function run(command, args) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

export function buildAddon({ command, headers }, to) {
  const folder = join(root, "addon");
  const sources = readdirSync(folder)
    .filter((name) => name.endsWith(".cc"))
    .map((name) => join(folder, name));
  const flags = [
    "-std=c++17",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-DNAPI_VERSION=8",
    `-I${headers}`,
  ];
  run(command, [...flags, "-o", to, ...sources, "-static-libstdc++", "-static-libgcc", "-ldl", "-lpthread", "-s"]);
}

const nvccFlags = ["-std=c++17", "-O3", "-Werror", "all-warnings"];

/** Compiles a file of native/ to a fatbin. */
export function buildKernel(nvcc, source, to, level) {
  run(nvcc, ["-fatbin", ...nvccFlags, ...level.map((target) => `-gencode=arch=${target}`), "-o", to, source]);
}

/** The resources of each kernel of a file, as ptxas reports them for compute capability 9.0. */
export function resources(nvcc, source) {
  const text = run(nvcc, [
    "-cubin",
    ...nvccFlags,
    "-gencode=arch=compute_90a,code=sm_90a",
    "-Xptxas",
    "-v",
    "-o",
    "/dev/null",
    source,
  ]);
  return [
    ...text.matchAll(
      /Compiling entry function '(\w+)'[\s\S]*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads[\s\S]*?Used (\d+) registers/g,
    ),
  ].map(([, kernel, stack, stores, loads, registers]) => ({
    kernel,
    stack: +stack,
    spills: +stores + +loads,
    registers: +registers,
  }));
}

/** The bytes of each parameter, in order, of each kernel of a file, from its PTX. */
export function parameters(nvcc, source, to) {
  run(nvcc, ["-ptx", ...nvccFlags, "-arch=compute_80", "-o", to, source]);
  const sizes = { u64: 8, u32: 4, s32: 4, f32: 4, b32: 4 };
  return [...readFileSync(to, "utf8").matchAll(/\.entry (\w+)\(([^)]*)\)/g)].map(([, kernel, list]) => ({
    kernel,
    bytes: [...list.matchAll(/\.param (?:\.align \d+ )?\.(\w+) (?:\.ptr[^,]*? )?\w+(?:\[(\d+)\])?/g)].map(
      ([, type, count]) => (type === "b8" ? Number(count) : sizes[type]),
    ),
  }));
}
