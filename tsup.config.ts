import { readFileSync } from "node:fs";
import { defineConfig } from "tsup";

// The one build configuration: run by every package from its own folder. A package may name further entries under
// `tsup` in its package.json. Declarations are written for all packages at once: scripts/declarations.mjs.
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { tsup?: { entry?: string[] } };

export default defineConfig({
  entry: manifest.tsup?.entry ?? ["src/index.ts"],
  format: "esm",
  target: "es2022",
  platform: "neutral",
  external: [/^node:/, /^@ziggurat\//],
  sourcemap: true,
  clean: true,
  splitting: true,
  loader: { ".wgsl": "text" },
});
