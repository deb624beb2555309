import { Account, rowBytes } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import { type CacheEvent, type GenerateResult, generate, type Model } from "@ziggurat/runtime";

/** The state of an answer while it is written. */
export interface Snapshot {
  readonly phase: "reading" | "answering";
  readonly text: string;
  readonly promptTokens: number;
  /** Tokens of the answer so far. */
  readonly written: number;
  /** Fraction of the prompt that was read. */
  readonly read: number;
  /** Rows of a KV head, layer by layer; of the layers that were read so far. Their mean where heads differ. */
  readonly rows: readonly number[];
  /** Bytes on the device by label, as the backend counts them. */
  readonly bytes: Readonly<Record<string, number>>;
  /** Bytes of K and V that a full cache holds after the prompt. */
  readonly fullBytes: number;
  /** Tokens per second so far; 0 before the first. */
  readonly readSpeed: number;
  readonly writeSpeed: number;
}

export interface RunOptions {
  readonly model: Model;
  readonly policy: Policy;
  /** The prompt's tokens. */
  readonly ids: readonly number[];
  readonly maxTokens: number;
  readonly signal: AbortSignal;
  readonly onChange: (snapshot: Snapshot) => void;
}

const meanOf = (rows: readonly (readonly number[])[]) =>
  rows.map((heads) => heads.reduce((a, b) => a + b, 0) / heads.length);

/** Milliseconds between two calls of `onChange`. */
const interval = 100;

/** Answers one prompt, and calls `onChange` with what the cache holds. Rejects with errors of runtime and policy. */
export async function run({ model, policy, ids, maxTokens, signal, onChange }: RunOptions): Promise<GenerateResult> {
  const { backend, facts, rowDType } = model;
  const { layers, kvHeads, headSize } = facts.cache;
  const fullBytes = ids.length * layers.length * kvHeads * rowBytes(headSize, rowDType, 1);
  // Budgets are arithmetic: what each layer will keep of the prompt is known before it is read.
  const planned = meanOf(Account.empty(facts.cache, policy).feed(ids.length, "prefill").account.rows);

  const started = performance.now();
  let read = 0;
  let event: CacheEvent | undefined;
  let first: number | undefined;
  let written = 0;
  let text = "";
  const tell = () => {
    const now = performance.now();
    // The last token is fed with the next one. Rows were appended since the last event of the cache.
    const appended = event ? ids.length + Math.max(0, written - 1) - event.seen : 0;
    onChange({
      phase: event ? "answering" : "reading",
      ...{ text, promptTokens: ids.length, written, read, fullBytes },
      rows: event
        ? meanOf(event.rows).map((rows) => rows + appended)
        : planned.slice(0, Math.floor(read * layers.length)),
      bytes: Object.fromEntries(Object.entries(backend.memory().labels).map(([label, { live }]) => [label, live])),
      readSpeed: (read * ids.length * 1000) / ((first ?? now) - started),
      writeSpeed: first === undefined || written < 2 ? 0 : ((written - 1) * 1000) / (now - first),
    });
  };
  const ticks = setInterval(tell, interval);
  try {
    const generation = generate({
      ...{ model, policy, prompt: ids, maxTokens, signal, readEvery: 4 },
      onProgress(done) {
        read = done;
        tell();
      },
      onEvent(told) {
        event = told;
        read = 1;
        tell();
      },
    });
    for await (const piece of generation) {
      first ??= performance.now();
      written += piece.ids.length;
      text += piece.text;
      tell();
    }
    return await generation.result;
  } finally {
    clearInterval(ticks);
  }
}
