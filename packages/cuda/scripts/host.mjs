// Builds the emulation of the CUDA backend on the host: a libcuda.so.1 that holds the kernels of native/, compiled by a
// C++ compiler, and the addon. Kernels for compute capability 9.0 (*.sm90a.cu) are left out: their wgmma products and
// mbarriers are not emulated.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildAddon } from "./toolchain.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
const within = (folder, pattern) =>
  readdirSync(join(root, folder))
    .filter((name) => pattern.test(name))
    .map((name) => join(root, folder, name));

function call(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args);
    const [out, error] = [[], []];
    child.stdout.on("data", (part) => out.push(part));
    child.stderr.on("data", (part) => error.push(part));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else reject(new Error(`${command} ${args.join(" ")} failed:\n${Buffer.concat(error)}`));
    });
  });
}

const flags = [
  ...["-std=c++17", "-O1", "-march=x86-64-v3", "-fPIC", "-fvisibility=hidden", "-fno-strict-aliasing"],
  ...["-Wall", "-Wno-unknown-pragmas", "-Wno-unused-function", "-Wno-unused-variable"],
];

/** The image table and images of src/addon.ts, where an image is a list of names of kernels. */
function kernelsFile(names) {
  let end = 0;
  const table = {};
  const bodies = Object.entries(names).map(([file, kernels]) => {
    const image = Buffer.from(`${kernels.map((name) => `${name}\0`).join("")}\0`);
    table[file] = [end, image.length];
    end += image.length;
    return image;
  });
  return Buffer.concat([Buffer.from(`${JSON.stringify(table)}\0`), ...bodies]);
}

/** The names of kernels in the first line of a unit that was written before. */
const namesIn = (source) => readFileSync(source, "utf8").split("\n", 1)[0].slice(3).split(" ");

/**
 * Builds into `to`: libcuda.so.1, kernels.bin and ziggurat.node. Files that are newer than their sources are not
 * rebuilt. `native`: the folder of kernels.
 */
export async function buildHost(compiler, to, native = join(root, "native")) {
  mkdirSync(to, { recursive: true });
  const sources = readdirSync(native);
  const shared = Math.max(
    ...sources.filter((name) => name.endsWith(".cuh")).map((name) => time(join(native, name))),
    ...within("host", /\.h$/).map(time),
  );
  const include = ["-I", join(root, "host"), "-I", native];
  const kernelsOf = async (path) => {
    const text = await call(compiler.command, [...flags, ...include, "-E", "-P", "-x", "c++", path]);
    return [...text.matchAll(/extern "C" __attribute__\(\(noinline\)\) void\s+(\w+)\(/g)].map(([, name]) => name);
  };
  const units = sources.filter((name) => name.endsWith(".cu") && !name.endsWith(".sm90a.cu"));
  const names = {};
  const objects = [];
  const work = [];
  const compile = (source, object, newest, extra = []) => {
    objects.push(object);
    if (time(object) < newest)
      work.push(() => call(compiler.command, [...flags, ...extra, ...include, "-c", source, "-o", object]));
  };
  for (const unit of units) {
    const file = unit.slice(0, -3);
    const source = join(to, `${file}.cc`);
    const changed = Math.max(time(join(native, unit)), shared);
    names[file] = time(source) > changed ? namesIn(source) : await kernelsOf(join(native, unit));
    const section = `shared_${file.replaceAll("-", "_")}`;
    const written = [
      `// ${names[file].join(" ")}`,
      `#define SHARED_SECTION "${section}"`,
      '#include "registry.h"',
      '#include "cuda_fp16.h"',
      '#include "cuda_bf16.h"',
      "namespace {",
      `#include "${join(native, unit)}"`,
      "}",
      "static char marker __attribute__((section(SHARED_SECTION), used));",
      `extern char start __asm__("__start_${section}"), stop __asm__("__stop_${section}");`,
      "static const host::Register all = {",
      ...names[file].map((name) => `  {"${name}", host::Binder<&${name}>::bind, &start, &stop},`),
      "};",
      "",
    ].join("\n");
    if (time(source) <= changed || readFileSync(source, "utf8") !== written) writeFileSync(source, written);
    compile(source, join(to, `${file}.o`), Math.max(changed, time(source)));
  }
  for (const source of within("host", /\.cc$/)) {
    const newest = Math.max(time(source), shared, ...within("addon", /\.h$/).map(time));
    compile(source, join(to, `host-${source.split("/").at(-1)}.o`), newest);
  }
  const next = async () => {
    for (let job = work.shift(); job; job = work.shift()) await job();
  };
  await Promise.all(Array.from({ length: availableParallelism() }, next));
  const library = join(to, "libcuda.so.1");
  if (time(library) < Math.max(...objects.map(time)))
    await call(compiler.command, ["-shared", "-o", library, ...objects, "-static-libstdc++", "-static-libgcc"]);
  writeFileSync(join(to, "kernels.bin"), kernelsFile(names));
  const addon = join(to, "ziggurat.node");
  if (time(addon) < Math.max(...within("addon", /./).map(time))) buildAddon(compiler, addon);
}
