// Builds wasm/: the kernels of assembly/, with and without relaxed SIMD, for shared and for plain memory.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { build } from "esbuild";
import { argumentsSource, commandsSource } from "./arguments.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const bundle = await build({
  entryPoints: ["../tensor/src/catalogue.ts"],
  bundle: true,
  format: "esm",
  write: false,
  logLevel: "error",
});
const { catalogue } = await import(
  `data:text/javascript;base64,${Buffer.from(bundle.outputFiles[0].contents).toString("base64")}`
);

const written = {
  "assembly/lib/arguments.ts": argumentsSource(catalogue),
  "assembly/commands.ts": commandsSource(catalogue),
};
for (const [path, source] of Object.entries(written)) {
  if ((await readFile(path, "utf8").catch(() => "")) !== source) await writeFile(path, source);
}

await mkdir("wasm", { recursive: true });
const simd = { base: "simd", relaxed: "simd,relaxed-simd" };
const memory = { shared: ["--sharedMemory"], single: [] };
for (const [level, features] of Object.entries(simd)) {
  for (const [kind, flags] of Object.entries(memory)) {
    const { error, stderr } = await asc.main([
      "assembly/index.ts",
      ...["--outFile", `wasm/${level}-${kind}.wasm`],
      ...["-O3", "--converge", "--noAssert", "--runtime", "stub", "--importMemory", "--noExportMemory", ...flags],
      ...["--initialMemory", "1", "--maximumMemory", "65536", "--memoryBase", "4096"],
      ...["--enable", kind === "shared" ? `${features},threads` : features],
    ]);
    if (error) {
      console.error(stderr.toString());
      throw error;
    }
  }
}
