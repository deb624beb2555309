// Packs what a bare Linux GPU machine needs to run the conformance suite and the bench: Node, the addon, the kernels and the programs, each one file.
//   node scripts/pack-gpu.mjs DIR [--no-node]      about 25 MB; 5 MB without Node
// There: `DIR/run RESULTS [sanitize]`.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [folder = ".gpu", ...flags] = process.argv.slice(2);
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
  // Here the binaries are given by their paths.
  external: ["@ziggurat/cuda-linux-x64", "@ziggurat/cpu"],
  alias: { vitest: join(root, "bench/vitest.ts") },
  logLevel: "warning",
});
for (const name of ["ziggurat.node", "kernels.bin"]) copyFileSync(join(binaries, name), join(folder, name));
copyFileSync(join(root, "scripts/run-gpu.sh"), join(folder, "run"));
if (!flags.includes("--no-node") && !existsSync(join(folder, "node.xz"))) {
  const node = join(folder, "node");
  copyFileSync(process.execPath, node);
  spawnSync("strip", [node]);
  const { status } = spawnSync("xz", ["-T2", "-6", "-f", node], { stdio: "inherit" });
  if (status !== 0) throw new Error("xz is needed to pack Node");
}
writeFileSync(join(folder, "README"), "Made by packages/cuda/scripts/pack-gpu.mjs. Run ./run RESULTS.\n");
