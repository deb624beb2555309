import { full } from "@ziggurat/policy";
import { type GenerateResult, generate, type Model, Session } from "@ziggurat/runtime";
import { type EachLogProbabilities, generateEach, logProbabilitiesEach } from "@ziggurat/runtime/evaluate";
import type { EncodedDocument } from "./document.js";
import { isRight } from "./haystack/index.js";
import { makePolicy, type NamedPolicy, type PolicySpec } from "./policies.js";

/**
 * How the policies meet the prompt: in one prefill for all; each alone; or each alone, the question in a second turn.
 */
export type Mode = "shared" | "isolated" | "ask-later";

/** What one policy made of one document. */
export interface Run {
  readonly policy: string;
  /** Rows asked for per layer; null for the full cache. */
  readonly keep: number | null;
  /** The same as it was typed: `12%`; empty for the full cache. */
  readonly budget: string;
  /** Null where what follows was scored instead. */
  readonly answer: string | null;
  /** Null where the right answer is not known. */
  readonly expected: string | null;
  readonly correct: boolean | null;
  /**
   * Of the tokens that follow the prompt, fed to the policy's own cache one by one; null where a question was answered
   * instead.
   */
  readonly perplexity: number | null;
  /** How many those were. */
  readonly scoredTokens: number | null;
  /** Rows of one KV head after the prompt; their mean where heads differ. */
  readonly rowsPerLayer: readonly number[];
  /** Whether anything was evicted. */
  readonly active: boolean;
  /** Bytes of rows with their metadata, and of tables, after the prompt. */
  readonly kvBytes: number;
  /** Bytes that waited for the answer's tokens; not part of `kvBytes`. */
  readonly roomBytes: number;
  /**
   * The most bytes that rows, room and prefill scratch took. When shared, so is the scratch: run isolated for each
   * policy's own.
   */
  readonly kvPeakBytes: number;
  /** The most bytes by label, where the policy ran alone. */
  readonly peakBytesByLabel: Readonly<Record<string, number>> | null;
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Tokens written or scored in all, the answer's among them: what `decodeTokensPerSecond` is measured over. */
  readonly timedTokens: number;
  readonly prefillTokensPerSecond: number;
  readonly decodeTokensPerSecond: number;
  /**
   * Seconds in which the policy scored, chose and moved rows; null where the question came in a second turn, which
   * times a message as a whole.
   */
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
  await generate({ model, policy: full(), prompt: document.ids.slice(0, 256), maxTokens: 8, ignoreEnd: true, signal })
    .result;
}

/**
 * Answers one document under every policy, greedily, or scores what follows it. Throws what the policies and the
 * runtime throw.
 */
export async function* compare(options: ComparisonOptions): AsyncGenerator<Run> {
  const named = options.policies.map((spec) => makePolicy(spec, options.document.ids.length));
  if (options.mode === "shared") yield* together(options, named);
  else if (options.mode === "isolated") {
    for (const [index, policy] of named.entries())
      yield* isolated(options, policy, index / named.length, 1 / named.length);
  } else
    for (const [index, policy] of named.entries())
      yield await askedLater(options, policy, index / named.length, 1 / named.length);
}

async function* together(
  { model, document, maxTokens, signal, onProgress }: ComparisonOptions,
  named: readonly NamedPolicy[],
): AsyncGenerator<Run> {
  const shared = {
    model,
    policies: named.map(({ policy }) => policy),
    prompt: document.ids,
    signal,
    onProgress: (done: number) =>
      onProgress(done, named.length > 1 ? "reading, once for all policies" : named[0]!.name),
  };
  let index = 0;
  const told = () => onProgress(index / named.length, document.following ? "scoring" : "answering");
  if (document.following) {
    for await (const scored of logProbabilitiesEach({ ...shared, ids: document.following })) {
      yield scoredRun(named[index++]!, scored);
      told();
    }
    return;
  }
  for await (const result of generateEach({ ...shared, maxTokens, ignoreEnd: true })) {
    yield {
      ...runOf(model, named[index++]!, document, result),
      policySeconds: result.policySeconds,
      peakBytesByLabel: null,
    };
    told();
  }
}

/** One policy in a prefill of its own, which makes its speed and its peaks its own too. */
async function* isolated(
  options: ComparisonOptions,
  named: NamedPolicy,
  from: number,
  share: number,
): AsyncGenerator<Run> {
  options.model.backend.resetPeak();
  const onProgress = (done: number) => options.onProgress(from + share * done, named.name);
  for await (const run of together({ ...options, onProgress }, [named])) yield { ...run, ...peaksOf(options.model) };
}

/** Labels that hold rows of K and V. */
const rowLabels = ["cache", "room", "scratch"];

/** The most bytes since the backend began to count anew. */
function peaksOf({ backend }: Model): Pick<Run, "kvPeakBytes" | "peakBytesByLabel"> {
  const { labels } = backend.memory();
  const peakBytesByLabel = Object.fromEntries(Object.entries(labels).map(([label, { peak }]) => [label, peak]));
  return { kvPeakBytes: rowLabels.reduce((sum, label) => sum + (peakBytesByLabel[label] ?? 0), 0), peakBytesByLabel };
}

async function askedLater(options: ComparisonOptions, named: NamedPolicy, from: number, share: number): Promise<Run> {
  const { model, document, maxTokens, signal, onProgress } = options;
  onProgress(from, named.name);
  model.backend.resetPeak();
  const session = new Session({ model, policy: named.policy });
  let result: GenerateResult;
  let readSeconds = 0;
  try {
    const started = performance.now();
    await session.read(document.ids.slice(0, document.before), { signal });
    readSeconds = (performance.now() - started) / 1000;
    const prompt = document.ids.slice(document.before);
    const told = (done: number) => onProgress(from + share * done, named.name);
    result = await session.generate({ prompt, maxTokens, ignoreEnd: true, signal, onProgress: told }).result;
  } finally {
    session.close();
  }
  const run = runOf(model, named, document, result);
  return {
    ...run,
    ...peaksOf(model),
    active: run.active || Math.min(...run.rowsPerLayer) < document.ids.length,
    promptTokens: document.ids.length,
    prefillTokensPerSecond: document.ids.length / (readSeconds + result.timings.prefillSeconds),
    policySeconds: null,
  };
}

/** What an answer and a score have in common. */
function factsOf(
  { name, keep, budget }: NamedPolicy,
  { cache, policy, promptTokens, timings }: GenerateResult | EachLogProbabilities,
) {
  return {
    policy: name,
    keep: keep ?? null,
    budget,
    rowsPerLayer: cache.rows.map((heads) => heads.reduce((a, b) => a + b, 0) / heads.length),
    active: policy.active,
    kvBytes: cache.bytes - cache.roomBytes,
    roomBytes: cache.roomBytes,
    kvPeakBytes: cache.peakBytes,
    promptTokens,
    prefillTokensPerSecond: timings.prefillTokensPerSecond,
    decodeTokensPerSecond: timings.decodeTokensPerSecond,
  };
}

function scoredRun(named: NamedPolicy, scored: EachLogProbabilities): Run {
  const { logProbabilities, policySeconds } = scored;
  const count = logProbabilities.length;
  return {
    ...factsOf(named, scored),
    ...{ answer: null, expected: null, correct: null, answerTokens: 0, timedTokens: count, finishReason: "scored" },
    perplexity: Math.exp(-logProbabilities.reduce((sum, one) => sum + one, 0) / count),
    scoredTokens: count,
    policySeconds,
    peakBytesByLabel: null,
  };
}

/**
 * Every policy writes as many tokens, so that speeds can be compared; the answer is what comes before the first token
 * that ends one.
 */
function runOf(
  model: Model,
  named: NamedPolicy,
  { expected }: EncodedDocument,
  result: GenerateResult,
): Omit<Run, "policySeconds" | "peakBytesByLabel"> {
  const end = result.ids.findIndex((id) => model.facts.endTokens.includes(id));
  const ids = end < 0 ? result.ids : result.ids.slice(0, end);
  const answer = model.tokenizer!.decode(ids, { skipSpecial: true });
  return {
    ...factsOf(named, result),
    answer,
    expected: expected ?? null,
    correct: expected === undefined ? null : isRight(answer, expected),
    ...{ perplexity: null, scoredTokens: null },
    answerTokens: ids.length,
    timedTokens: result.generatedTokens,
    finishReason: end < 0 ? result.finishReason : "stop",
  };
}
