import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** The peers and the versions that are measured. */
const peers = { "node-llama-cpp": "3.22.1", "@wllama/wllama": "3.8.1" } as const;

/** node-llama-cpp's binary of this machine; it has dozens, of which those for CUDA alone weigh 600 MB. */
const binaries: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "darwin-arm64": "mac-arm64-metal",
  "darwin-x64": "mac-x64",
  "win32-x64": "win-x64",
};

/**
 * Installs the peers into `folder`, without install scripts, unless they are there; resolves to their names and
 * versions.
 */
export async function installPeers(folder: string): Promise<string[]> {
  const binary = binaries[`${process.platform}-${process.arch}`];
  if (!binary) throw new Error(`peers: node-llama-cpp has no binary for ${process.platform}-${process.arch}`);
  const wanted: Record<string, string> = { ...peers, [`@node-llama-cpp/${binary}`]: peers["node-llama-cpp"] };
  const installed = async (name: string) => {
    const path = join(folder, "node_modules", name, "package.json");
    return existsSync(path) ? (JSON.parse(await readFile(path, "utf8")) as { version: string }).version : undefined;
  };
  const missing = [];
  for (const [name, version] of Object.entries(wanted))
    if ((await installed(name)) !== version) missing.push(`${name}@${version}`);
  if (missing.length > 0) {
    console.error(`installing ${missing.join(", ")} into ${folder}`);
    await mkdir(folder, { recursive: true });
    if (!existsSync(join(folder, "package.json")))
      await writeFile(join(folder, "package.json"), '{ "private": true }\n');
    const flags = ["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"];
    await promisify(execFile)("npm", [...flags, ...missing], { cwd: folder, shell: process.platform === "win32" });
  }
  return Object.entries(wanted).map(([name, version]) => `${name} ${version}`);
}
