// Builds the files of @ziggurat/cuda-linux-x64: the addon, with a C++ compiler, and the kernels, with nvcc. If one of
// the compilers is missing, it prints a message and continues.
//   node scripts/build.mjs [--targets all|quick|ptx] [--out DIR]
// Targets, also set by ZIGGURAT_CUDA_TARGETS: all targets of a release (all), compute capability 9.0 only (quick), PTX
// for 8.0 only (ptx). nvcc is taken from the virtual environment that ZIGGURAT_NVCC_ENV names (Python packages
// nvidia-cuda-nvcc, nvidia-nvvm, nvidia-cuda-crt, nvidia-cuda-runtime, nvidia-cuda-cccl), else from the PATH. The C++
// compiler is CXX, else c++. Files that are newer than their sources are not rebuilt.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildAddon, buildKernel, findCompiler, findNvcc, targets } from "./toolchain.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values } = parseArgs({
  options: {
    targets: { type: "string", default: process.env.ZIGGURAT_CUDA_TARGETS || "all" },
    out: { type: "string" },
  },
});
const out = values.out ?? join(root, "../cuda-linux-x64/bin");
const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);
const sources = (folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name));
const newest = (paths) => Math.max(...paths.map(time));

if (process.platform !== "linux" || process.arch !== "x64") {
  console.log(`cuda: nothing to build on ${process.platform} ${process.arch}`);
  process.exit(0);
}
const objects = join(root, "node_modules/.cache/kernels");
for (const folder of [out, objects]) mkdirSync(folder, { recursive: true });

const addon = join(out, "ziggurat.node");
if (time(addon) < newest(sources("addon"))) {
  const compiler = findCompiler();
  if (compiler) buildAddon(compiler, addon);
  else console.log("cuda: no C++ compiler (CXX, c++) or no Node headers: the addon is not built");
}

const nvcc = findNvcc();
const packed = join(out, "kernels.bin");
if (!nvcc) {
  console.log("cuda: no nvcc (ZIGGURAT_NVCC_ENV, PATH): the kernels are not built");
} else {
  const shared = newest(sources("native").filter((path) => path.endsWith(".cuh")));
  const files = readdirSync(join(root, "native"))
    .filter((name) => name.endsWith(".cu"))
    .map((name) => name.slice(0, -3));
  const level = targets[values.targets];
  if (!level) throw new Error(`--targets is ${values.targets}; it must be one of ${Object.keys(targets).join(", ")}`);
  // <file>.sm90a.cu contains kernels for compute capability 9.0 only.
  const levels = files.map((name) => [
    name,
    name.endsWith(".sm90a") ? level.filter((target) => target.endsWith("sm_90a")) : level,
  ]);
  const built = levels.filter(([, level]) => level.length > 0);
  const images = built.map(([name, level]) => {
    const source = join(root, "native", `${name}.cu`);
    const image = join(objects, `${name}.${values.targets}.fatbin`);
    if (time(image) < Math.max(time(source), shared)) {
      console.log(`cuda: native/${name}.cu`);
      buildKernel(nvcc, source, image, level);
    }
    return [name, readFileSync(image)];
  });
  // The format that src/addon.ts reads: a JSON object of [offset, bytes] by name, a zero byte, and the images.
  let end = 0;
  const table = images.map(([name, image]) => {
    // Images start at multiples of 16.
    const start = Math.ceil(end / 16) * 16;
    end = start + image.length;
    return [name, [start, image.length]];
  });
  const body = Buffer.alloc(end);
  table.forEach(([, [start]], i) => images[i][1].copy(body, start));
  writeFileSync(packed, Buffer.concat([Buffer.from(`${JSON.stringify(Object.fromEntries(table))}\0`), body]));
}
