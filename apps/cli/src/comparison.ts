import { full } from "@ziggurat/policy";
import { type GenerateResult, generate, generateEach, type Model, Session } from "@ziggurat/runtime";
import type { EncodedDocument } from "./document.js";
import { isRight } from "./haystack/index.js";
import { makePolicy, type NamedPolicy, type PolicySpec } from "./policies.js";

/** How the policies meet the prompt: in one prefill for all; each alone; or each alone, the question in a second turn. */
export type Mode = "shared" | "isolated" | "ask-later";

/** What one policy made of one document. */
export interface Run {
  readonly policy: string;
  /** Rows asked for per layer; null for the full cache. */
  readonly keep: number | null;
  /** The same as it was typed: `12%`; empty for the full cache. */
  readonly budget: string;
  readonly answer: string;
  /** Null where the right answer is not known. */
  readonly expected: string | null;
  readonly correct: boolean | null;
  /** Rows of one KV head after the prompt; their mean where heads differ. */
  readonly rowsPerLayer: readonly number[];
  /** Whether anything was evicted. */
  readonly active: boolean;
  /** Bytes of rows with their metadata, and of tables, after the prompt. */
  readonly kvBytes: number;
  /** Bytes that waited for the answer's tokens; not part of `kvBytes`. */
  readonly roomBytes: number;
  /** The most bytes that rows, room and prefill scratch took. When shared, so is the scratch: run isolated for each policy's own. */
  readonly kvPeakBytes: number;
  /** The most bytes by label, where the policy ran alone. */
  readonly peakBytesByLabel: Readonly<Record<string, number>> | null;
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Tokens written in all, the answer's among them: what `decodeTokensPerSecond` is measured over. */
  readonly timedTokens: number;
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  /** Seconds in which the policy scored, chose and moved rows; null where it was not timed alone. */
  readonly policySeconds: number | null;
  readonly finishReason: string;
}

export interface ComparisonOptions {
  readonly model: Model;
  readonly document: EncodedDocument;
  readonly policies: readonly PolicySpec[];
  readonly mode: Mode;
  readonly maxTokens: number;
  readonly signal: AbortSignal;
  /** Part done, from 0 to 1, and what is being done. */
  readonly onProgress: (done: number, what: string) => void;
}

/** Runs what compilers and caches are slow at when it is new, so that the first policy is not charged for it. */
export async function warmUp(model: Model, document: EncodedDocument, signal: AbortSignal): Promise<void> {
  await generate({ model, policy: full(), prompt: document.ids.slice(0, 256), maxTokens: 8, ignoreEnd: true, signal }).result;
}

/** Answers one document under every policy, greedily. Throws what the policies and the runtime throw. */
export async function* compare(options: ComparisonOptions): AsyncGenerator<Run> {
  const named = options.policies.map((spec) => makePolicy(spec, options.document.ids.length));
  if (options.mode === "shared") yield* together(options, named);
  else for (const [index, policy] of named.entries()) yield await alone(options, policy, index / named.length, 1 / named.length);
}

async function* together({ model, document, maxTokens, signal, onProgress }: ComparisonOptions, named: readonly NamedPolicy[]): AsyncGenerator<Run> {
  const results = generateEach({
    model,
    policies: named.map(({ policy }) => policy),
    prompt: document.ids,
    maxTokens,
    ignoreEnd: true,
    signal,
    onProgress: (done) => onProgress(done, "reading, once for all policies"),
  });
  let index = 0;
  for await (const result of results) {
    const { policySeconds } = result;
    yield { ...runOf(model, named[index++]!, document, result), policySeconds, peakBytesByLabel: null };
    onProgress(index / named.length, "answering");
  }
}

/** Labels that hold rows of K and V. */
const rowLabels = ["cache", "room", "scratch"];

async function alone(options: ComparisonOptions, named: NamedPolicy, from: number, share: number): Promise<Run> {
  const { model, document, maxTokens, signal, onProgress, mode } = options;
  const { backend } = model;
  const request = { maxTokens, ignoreEnd: true, signal, onProgress: (done: number) => onProgress(from + share * done, named.name) };
  onProgress(from, named.name);
  backend.resetPeak();
  let result: GenerateResult;
  let readSeconds = 0;
  if (mode === "isolated") result = await generate({ model, policy: named.policy, prompt: document.ids, ...request }).result;
  else {
    const session = new Session({ model, policy: named.policy });
    try {
      const started = performance.now();
      await session.read(document.ids.slice(0, document.before), { signal });
      readSeconds = (performance.now() - started) / 1000;
      result = await session.generate({ prompt: document.ids.slice(document.before), ...request }).result;
    } finally {
      session.close();
    }
  }
  const { labels } = backend.memory();
  const peakBytesByLabel = Object.fromEntries(Object.entries(labels).map(([label, { peak }]) => [label, peak]));
  const run = runOf(model, named, document, result);
  return {
    ...run,
    active: run.active || Math.min(...run.rowsPerLayer) < document.ids.length,
    kvPeakBytes: rowLabels.reduce((sum, label) => sum + (peakBytesByLabel[label] ?? 0), 0),
    peakBytesByLabel,
    promptTokens: document.ids.length,
    prefillTokensPerSecond: document.ids.length / (readSeconds + result.timings.prefillSeconds),
    policySeconds: null,
  };
}

/**
 * Every policy writes as many tokens, so that speeds can be compared; the answer is what comes before the first token that ends one.
 */
function runOf(
  model: Model,
  named: NamedPolicy,
  { expected }: EncodedDocument,
  result: GenerateResult,
): Omit<Run, "policySeconds" | "peakBytesByLabel"> {
  const { name, keep, budget } = named;
  const end = result.ids.findIndex((id) => model.facts.endTokens.includes(id));
  const ids = end < 0 ? result.ids : result.ids.slice(0, end);
  const answer = model.tokenizer!.decode(ids, { skipSpecial: true });
  const { cache, timings } = result;
  return {
    policy: name,
    keep: keep ?? null,
    budget,
    answer,
    expected: expected ?? null,
    correct: expected === undefined ? null : isRight(answer, expected),
    rowsPerLayer: cache.rows.map((heads) => heads.reduce((a, b) => a + b, 0) / heads.length),
    active: result.policy.active,
    kvBytes: cache.bytes - cache.roomBytes,
    roomBytes: cache.roomBytes,
    kvPeakBytes: cache.peakBytes,
    promptTokens: result.promptTokens,
    answerTokens: ids.length,
    timedTokens: result.generatedTokens,
    prefillTokensPerSecond: timings.prefillTokensPerSecond,
    decodeTokensPerSecond: timings.decodeTokensPerSecond,
    finishReason: end < 0 ? result.finishReason : "stop",
  };
}
