// Copies the address of the repository from the root package.json into every package that is published.
//   node scripts/manifests.mjs             writes `repository`, `homepage` and `bugs`
//   node scripts/manifests.mjs --release   writes nothing; exits with 1 if the address is missing or not copied
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const readManifest = (path) => JSON.parse(readFileSync(path, "utf8"));

/**
 * The metadata of the package in `folder` for a repository at `address`, such as
 * `https://github.com/<owner>/<repository>`. An empty address gives no metadata.
 */
export const metadataOf = (address, folder) =>
  address === ""
    ? {}
    : {
        homepage: `${address}/tree/main/${folder}#readme`,
        bugs: `${address}/issues`,
        repository: { type: "git", url: `git+${address}.git`, directory: folder },
      };

/** `manifest` with the metadata of `address` behind its licence, where npm's own order has it. */
export function withMetadata(manifest, address, folder) {
  const { homepage: _homepage, bugs: _bugs, repository: _repository, ...rest } = manifest;
  const entries = Object.entries(rest);
  const at = entries.findIndex(([name]) => name === "license") + 1;
  return Object.fromEntries([
    ...entries.slice(0, at),
    ...Object.entries(metadataOf(address, folder)),
    ...entries.slice(at),
  ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const release = process.argv.includes("--release");
  const { repository } = readManifest(`${root}package.json`);
  const faults =
    release && repository === "" ? ['package.json: "repository" is empty; it must be the https address'] : [];
  for (const parent of ["packages", "apps"]) {
    for (const name of readdirSync(root + parent)) {
      const folder = `${parent}/${name}`;
      const path = `${root}${folder}/package.json`;
      const manifest = readManifest(path);
      if (manifest.private) continue;
      const text = `${JSON.stringify(withMetadata(manifest, repository, folder), null, 2)}\n`;
      if (text === readFileSync(path, "utf8")) continue;
      if (release) faults.push(`${folder}/package.json: run node scripts/manifests.mjs`);
      else writeFileSync(path, text);
    }
  }
  for (const fault of faults) console.error(fault);
  if (faults.length > 0) process.exit(1);
}
