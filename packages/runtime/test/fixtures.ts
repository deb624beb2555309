import { readFileSync } from "node:fs";

// The fixtures of this folder, typed. The scripts beside them say how they were made.

const read = (file: string): string => readFileSync(new URL(`./fixtures/${file}`, import.meta.url), "utf8");

export interface Top {
  readonly ids: readonly number[];
  readonly logits: readonly number[];
}

/** What transformers computes of a 512-token prompt; see fixtures/logits.py. */
export interface LogitsFixture {
  readonly ids: readonly number[];
  /** After the last token, [vocabulary]. */
  readonly last: Float32Array;
  readonly top: readonly (Top & { readonly position: number })[];
  /** Of ids[1] on, given what stands before. */
  readonly logProbabilities: readonly number[];
}

export function logitsFixture(): LogitsFixture {
  const json = JSON.parse(read("logits.json")) as Omit<LogitsFixture, "last"> & { last: string };
  const bytes = Uint8Array.from(Buffer.from(json.last, "base64"));
  return { ...json, last: new Float32Array(bytes.buffer) };
}

/** What one policy keeps, and what follows; see fixtures/policies.py. */
export interface PolicyFixture {
  readonly options: Readonly<Record<string, number | string>>;
  /** Positions kept of the prompt, ascending: [layer][KV head]. */
  readonly kept: readonly (readonly (readonly number[])[])[];
  /** The same after the last token fed, for policies that evict while decoding. */
  readonly keptAfter: readonly (readonly (readonly number[])[])[] | undefined;
  /** Rows that are so near the lowest one kept that they may be kept or not: [layer, KV head, position]. */
  readonly close: readonly (readonly [layer: number, head: number, position: number])[];
  /** After each token fed. */
  readonly steps: readonly Top[];
}

export interface PoliciesFixture {
  readonly prompt: readonly number[];
  /** Read one at a time after the prompt. */
  readonly fed: readonly number[];
  readonly policies: Readonly<
    Record<"full" | "streaming" | "h2o" | "snapkv" | "snapkv max" | "pyramidkv" | "sinksAndRecent", PolicyFixture>
  >;
}

export function policiesFixture(): PoliciesFixture {
  const json = JSON.parse(read("policies.json"));
  const positions = (bitmap: string): number[] => {
    const bytes = Buffer.from(bitmap, "base64");
    return Array.from({ length: 8 * bytes.length }, (_, p) => p).filter((p) => (bytes[p >> 3]! >> (p & 7)) & 1);
  };
  const rows = (layers?: string[][]) => layers?.map((heads) => heads.map(positions));
  const policies = Object.fromEntries(
    Object.entries<Record<string, unknown>>(json.policies).map(([name, policy]) => [
      name,
      { ...policy, kept: rows(policy.kept as string[][]), keptAfter: rows(policy.keptAfter as string[][] | undefined) },
    ]),
  );
  return { ...json, policies };
}
