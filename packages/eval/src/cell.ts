import { createHash } from "node:crypto";

/** JSON with the names of every object in order, so that equal values have equal texts. `undefined` is left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(",")}}`;
}

/** How many rows a policy keeps per layer: rows, a share of the prompt, or bytes of the whole cache. */
export type CellBudget = { readonly rows: number } | { readonly share: number } | { readonly bytes: number };

/** Where the question stands: in the prompt that is compressed, or in a separate message that is read afterwards. */
export type QuestionPlace = "inside" | "later";

/** One combination of a plan: what is run, without how often. All fields enter its id. */
export interface Cell {
  /** As `ziggurat` names it: `pebble`, a folder, a file or a repository. */
  readonly model: string;
  readonly policy: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  /** Undefined for policies without a budget, as the full cache. */
  readonly budget?: CellBudget;
  /** Dtype of the cache's rows. */
  readonly rowDType: string;
  readonly task: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  /** Tokens of an item's prompt. */
  readonly tokens: number;
  readonly question: QuestionPlace;
  readonly seed: number;
  /** Items, from the task's first on. */
  readonly items: number;
}

/** What else decides a cell's results: versions of packages, hashes of files. */
export type Provenance = Readonly<Record<string, string>>;

/** SHA-256 of a value's canonical JSON, 64 hex digits. */
export const hashOf = (value: unknown): string => createHash("sha256").update(canonicalJson(value)).digest("hex");

/** The id of a cell, 16 hex digits: the start of the SHA-256 of the cell and of what else decides its results. */
export const cellId = (cell: Cell, provenance: Provenance): string => hashOf({ cell, provenance }).slice(0, 16);
