import { readFileSync } from "node:fs";
import { defineConfig } from "tsup";

// The one build configuration: run by every package from its own folder. A package may name further entries under `tsup` in its package.json.
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { tsup?: { entry?: string[] }; exports?: unknown };

export default defineConfig({
  entry: manifest.tsup?.entry ?? ["src/index.ts"],
  format: "esm",
  target: "es2022",
  platform: "neutral",
  external: [/^node:/],
  dts: manifest.exports !== undefined,
  sourcemap: true,
  clean: true,
  splitting: true,
  loader: { ".wgsl": "text" },
});
