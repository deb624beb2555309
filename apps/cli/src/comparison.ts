import { keepAsText, type MadePolicy, makePolicy, type PolicySpec } from "@ziggurat/policies";
import { full, PolicyError } from "@ziggurat/policy";
import { type GenerateResult, generate, type Model, Session } from "@ziggurat/runtime";
import { type EachLogProbabilities, generateEach, logProbabilitiesEach } from "@ziggurat/runtime/evaluate";
import { DecodeClock } from "./decode-clock.js";
import type { EncodedDocument } from "./document.js";
import { isRight } from "./haystack/index.js";
import { planOf } from "./plan.js";

/** How the prompt is read: once for all policies; for each alone; or for each alone, the question in a second turn. */
export type Mode = "shared" | "isolated" | "ask-later";

/** A policy that did not run, and why not. */
export interface Refusal {
  readonly policy: string;
  /** As it was typed: `20`. */
  readonly budget: string;
  /** The policy's own message. */
  readonly refused: string;
}

/** What one policy made of one document. */
export interface Run {
  readonly policy: string;
  /** Budget in rows per layer; null for the full cache. */
  readonly keep: number | null;
  /** The budget as it was typed: `12%`; empty for the full cache. */
  readonly budget: string;
  /** Null if tokens were scored instead. */
  readonly answer: string | null;
  /** The right answer; null if it is not known. */
  readonly expected: string | null;
  readonly correct: boolean | null;
  /**
   * exp of the mean negative log-probability of the tokens that follow the prompt, fed one by one to the policy's own
   * cache; null if a question was answered instead.
   */
  readonly perplexity: number | null;
  /** Tokens that `perplexity` is of. */
  readonly scoredTokens: number | null;
  /** Rows of one KV head after the prompt; their mean where heads differ. */
  readonly rowsPerLayer: readonly number[];
  /** Whether anything was evicted. */
  readonly active: boolean;
  /** Bytes of rows with their metadata, and of tables, after the prompt. */
  readonly kvBytes: number;
  /** Bytes reserved for the answer's tokens; not part of `kvBytes`. */
  readonly roomBytes: number;
  /** The most bytes that rows, room and prefill scratch took together. The scratch is shared if the prefill is. */
  readonly kvPeakBytes: number;
  /** The most bytes by label, if the policy ran alone. */
  readonly peakBytesByLabel: Readonly<Record<string, number>> | null;
  readonly promptTokens: number;
  readonly answerTokens: number;
  /** Tokens written or scored in all, the answer's among them: what `decodeTokensPerSecond` is measured over. */
  readonly timedTokens: number;
  readonly prefillTokensPerSecond: number;
  /**
   * Of an answer: the median over groups of tokens, without the first ones, which prepare kernels; the mean if there
   * are too few. Of scored tokens: the mean.
   */
  readonly decodeTokensPerSecond: number;
  /** Seconds in which the policy scored, chose and moved rows; null if the question came in a second turn. */
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
  /** Called with the fraction done and what is being done. */
  readonly onProgress: (done: number, what: string) => void;
}

/** Runs a short answer, so that the first policy is not charged for compilation and cold caches. */
export async function warmUp(model: Model, document: EncodedDocument, signal: AbortSignal): Promise<void> {
  await generate({ model, policy: full(), prompt: document.ids.slice(0, 256), maxTokens: 8, ignoreEnd: true, signal })
    .result;
}

/**
 * Answers one document under every policy, greedily, or scores what follows it. A policy that refuses the prompt gives
 * a {@link Refusal}, and the others run. Throws the first policy's PolicyError if all refuse, and what the runtime
 * throws.
 */
export async function* compare(options: ComparisonOptions): AsyncGenerator<Run | Refusal> {
  const made = options.policies.map((spec) => tryPolicy(options, spec));
  const able = made.filter((one): one is MadePolicy => !(one instanceof Error));
  const refused = made.filter((one): one is PolicyError => one instanceof Error);
  if (able.length === 0 && refused[0]) throw refused[0];
  for (const [index, error] of made.entries())
    if (error instanceof Error) yield refusalOf(options.policies[index]!, error);
  if (options.mode === "shared") return yield* together(options, able);
  for (const [index, policy] of able.entries()) {
    const [from, share] = [index / able.length, 1 / able.length];
    if (options.mode === "isolated") yield* isolated(options, policy, from, share);
    else yield await askedLater(options, policy, from, share);
  }
}

/** A policy for a document, checked before anything runs; the PolicyError of one that refuses it. */
function tryPolicy(
  { model, document, mode, maxTokens }: ComparisonOptions,
  spec: PolicySpec,
): MadePolicy | PolicyError {
  const { ids, before, following } = document;
  const messages = mode === "ask-later" ? [before, ids.length - before] : [ids.length];
  try {
    const made = makePolicy(spec, ids.length);
    planOf(model.facts.cache, made.policy, messages, following ? following.length + 1 : maxTokens);
    return made;
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
}

const refusalOf = ({ listed, keep }: PolicySpec, { message }: PolicyError): Refusal => ({
  policy: listed.name,
  budget: keep ? keepAsText(keep) : "",
  refused: message,
});

async function* together(
  { model, document, maxTokens, signal, onProgress }: ComparisonOptions,
  named: readonly MadePolicy[],
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
  const report = () => onProgress(index / named.length, document.following ? "scoring" : "answering");
  if (document.following) {
    for await (const scored of logProbabilitiesEach({ ...shared, ids: document.following })) {
      yield scoredRun(named[index++]!, scored);
      report();
    }
    return;
  }
  const clocks = named.map(() => new DecodeClock());
  const onPiece = ({ ids }: { readonly ids: readonly number[] }, policy: number) => clocks[policy]!.group(ids.length);
  for await (const result of generateEach({ ...shared, maxTokens, ignoreEnd: true, onPiece })) {
    yield {
      ...runOf(model, named[index]!, document, result, clocks[index]!),
      policySeconds: result.policySeconds,
      peakBytesByLabel: null,
    };
    index++;
    report();
  }
}

/** Runs one policy with a prefill for it alone, so that prefill speed and peaks are the policy's. */
async function* isolated(
  options: ComparisonOptions,
  named: MadePolicy,
  from: number,
  share: number,
): AsyncGenerator<Run> {
  options.model.backend.resetPeak();
  const onProgress = (done: number) => options.onProgress(from + share * done, named.name);
  for await (const run of together({ ...options, onProgress }, [named])) yield { ...run, ...peaksOf(options.model) };
}

/** Labels that hold rows of K and V. */
const rowLabels = ["cache", "room", "scratch"];

/** The most bytes since the backend's peaks were reset. */
function peaksOf({ backend }: Model): Pick<Run, "kvPeakBytes" | "peakBytesByLabel"> {
  const { labels } = backend.memory();
  const peakBytesByLabel = Object.fromEntries(Object.entries(labels).map(([label, { peak }]) => [label, peak]));
  return { kvPeakBytes: rowLabels.reduce((sum, label) => sum + (peakBytesByLabel[label] ?? 0), 0), peakBytesByLabel };
}

async function askedLater(options: ComparisonOptions, named: MadePolicy, from: number, share: number): Promise<Run> {
  const { model, document, maxTokens, signal, onProgress } = options;
  onProgress(from, named.name);
  model.backend.resetPeak();
  const session = new Session({ model, policy: named.policy });
  const clock = new DecodeClock();
  let result: GenerateResult;
  let readSeconds = 0;
  try {
    const started = performance.now();
    await session.read(document.ids.slice(0, document.before), { signal });
    readSeconds = (performance.now() - started) / 1000;
    const prompt = document.ids.slice(document.before);
    const onRead = (done: number) => onProgress(from + share * done, named.name);
    const answer = session.generate({ prompt, maxTokens, ignoreEnd: true, signal, onProgress: onRead });
    for await (const { ids } of answer) clock.group(ids.length);
    result = await answer.result;
  } finally {
    session.close();
  }
  const run = runOf(model, named, document, result, clock);
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
  { name, keep, budget }: MadePolicy,
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

function scoredRun(named: MadePolicy, scored: EachLogProbabilities): Run {
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

/** Every policy writes equally many tokens, so that speeds can be compared. The answer ends at the first end token. */
function runOf(
  model: Model,
  named: MadePolicy,
  { expected }: EncodedDocument,
  result: GenerateResult,
  clock: DecodeClock,
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
    decodeTokensPerSecond: clock.tokensPerSecond ?? result.timings.decodeTokensPerSecond,
    finishReason: end < 0 ? result.finishReason : "stop",
  };
}
