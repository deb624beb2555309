// Bundles the bench into one file, for a machine that has only Node and the npm package webgpu:
// node bench/pack.mjs [FILE]
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await build({
  entryPoints: [here("main.ts")],
  outfile: process.argv[2] ?? here("../dist/bench.mjs"),
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  conditions: ["@ziggurat/source"],
  loader: { ".wgsl": "text" },
  external: ["webgpu"],
});
