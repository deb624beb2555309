// Packs the files that a bare Linux machine with a GPU needs to run the conformance suite and the bench: Node, the
// addon, the kernels and the bundled programs.
//   node scripts/pack-gpu.mjs DIR [--no-node] [--file FILE]... [--peers DIR]      about 30 MB; 8 MB without Node
// --file: kernels-ptx.bin (built with --targets ptx --out), parity-*.json (`pnpm parity expect`), and the models that
// they name. --peers: a folder with other programs to measure in the same run: llama-cpp.tar.xz, build-llama-cpp,
// random_gguf.py and hf.py. On the GPU machine, run `DIR/run RESULTS suite bench ...`.

import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const { values, positionals } = parseArgs({
  options: {
    "no-node": { type: "boolean", default: false },
    file: { type: "string", multiple: true, default: [] },
    peers: { type: "string" },
  },
  allowPositionals: true,
});
const [folder = ".gpu"] = positionals;
const root = fileURLToPath(new URL("..", import.meta.url));
const binaries = join(root, "../cuda-linux-x64/bin");
mkdirSync(folder, { recursive: true });

await build({
  entryPoints: {
    suite: join(root, "bench/suite.ts"),
    bench: join(root, "bench/bench.ts"),
    model: join(root, "bench/model.ts"),
    parity: join(root, "bench/parity.ts"),
  },
  outdir: folder,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  conditions: ["@ziggurat/source"],
  // The programs name the binaries by their paths.
  external: ["@ziggurat/cuda-linux-x64", "@ziggurat/cpu"],
  alias: { vitest: join(root, "bench/vitest.ts") },
  logLevel: "warning",
});
for (const name of ["ziggurat.node", "kernels.bin"]) copyFileSync(join(binaries, name), join(folder, name));
copyFileSync(join(root, "scripts/run-gpu.sh"), join(folder, "run"));
for (const file of values.file) cpSync(file, join(folder, basename(file)), { recursive: true });
if (values.peers) cpSync(values.peers, join(folder, "peers"), { recursive: true });
if (!values["no-node"] && !existsSync(join(folder, "node.xz"))) {
  const node = join(folder, "node");
  copyFileSync(process.execPath, node);
  spawnSync("strip", [node]);
  const { status } = spawnSync("xz", ["-T2", "-6", "-f", node], { stdio: "inherit" });
  if (status !== 0) throw new Error("xz is needed to pack Node");
}
writeFileSync(join(folder, "README"), "Made by packages/cuda/scripts/pack-gpu.mjs. Run ./run RESULTS.\n");
