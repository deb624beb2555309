import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// The packages, apps and files of this repository, for the tests that check its structure.

export const root = fileURLToPath(new URL("..", import.meta.url));

export type DependencyField = "dependencies" | "peerDependencies" | "optionalDependencies" | "devDependencies";
export const dependencyFields: readonly DependencyField[] = [
  "dependencies",
  "peerDependencies",
  "optionalDependencies",
  "devDependencies",
];

export interface Manifest extends Partial<Record<DependencyField, Readonly<Record<string, string>>>> {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly private?: boolean;
  readonly license?: string;
  /** The https address of the repository: of the root manifest alone. */
  readonly repository?: string;
  readonly type?: string;
  readonly sideEffects?: boolean;
  readonly packageManager?: string;
  readonly engines?: { readonly node?: string };
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly files?: readonly string[];
  readonly scripts?: Readonly<Record<string, string>>;
}

export interface Workspace {
  /** `packages/tensor`, from the root. */
  readonly path: string;
  /** `tensor` */
  readonly folder: string;
  readonly manifest: Manifest;
}

export const readText = (path: string) => readFileSync(join(root, path), "utf8");
export const rootManifest = JSON.parse(readText("package.json")) as Manifest;

const under = (parent: string): Workspace[] =>
  (existsSync(join(root, parent)) ? readdirSync(join(root, parent)) : [])
    .map((folder) => ({ folder, path: `${parent}/${folder}` }))
    .filter(({ path }) => existsSync(join(root, path, "package.json")))
    .map((place) => ({ ...place, manifest: JSON.parse(readText(`${place.path}/package.json`)) as Manifest }));

export const packages: readonly Workspace[] = under("packages");
export const apps: readonly Workspace[] = under("apps");
export const publishable: readonly Workspace[] = [...packages, ...apps].filter(
  ({ manifest }) => manifest.private !== true,
);

export const backends: readonly string[] = ["cpu", "webgpu", "cuda"];
/** Packages of compiled binaries, one per backend and platform. */
export const binaries: readonly string[] = ["cuda-linux-x64"];
/** The array of all policies, which imports them. */
export const policyList = "policies";
/** What the benches and tests of several packages share; private. */
export const benchKit = "bench-kit";
/** Statistics, metrics, records and reports of evaluations; private until it has a command. */
export const evaluation = "eval";
const core = ["tensor", "policy", "cache", "runtime", "testing", "pebble", policyList, benchKit, evaluation];
/** Every package that is neither core nor a backend is a policy. */
export const policies: readonly Workspace[] = packages.filter(
  ({ folder }) => ![...core, ...backends, ...binaries].includes(folder),
);

const generated = new Set(["node_modules", "dist", "wasm", "bin", "coverage"]);

/** Lists the files under `folder` as paths from the root, without built and installed ones. */
export function filesUnder(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (!entry.isDirectory()) return [path];
    const hidden = entry.name.startsWith(".") && ![".ci", ".changeset", ".github"].includes(entry.name);
    return hidden || generated.has(entry.name) ? [] : filesUnder(path);
  });
}
