import { Cache, groupOrder, Progress } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import type { Piece } from "./engine/decode.js";
import { checkCeiling, checkMaxTokens, cut, planWithin, turnBytes } from "./engine/limits.js";
import { checkSampling, type SamplingOptions } from "./engine/sampling.js";
import { checkTurn, runTurn, type TurnMember, type TurnOptions, type TurnOutcome } from "./engine/turn.js";
import { type FinishReason, Writer } from "./engine/writer.js";
import { RequestError, show } from "./error.js";
import { Generation } from "./generation.js";
import { checkModel, type Model } from "./model.js";
import { stopIdsOf } from "./text/end-of-turn.js";
import { encodePrompt, type Prompt } from "./text/prompt.js";

/** What one sequence is asked. */
export interface GenerateRequest extends SamplingOptions {
  readonly policy: Policy;
  /** Messages that end with the assistant's are gone on with. */
  readonly prompt: Prompt;
  /** Variables for the chat template, such as `enable_thinking`, `tools` or `documents`; JSON. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
  /** The most tokens to write. Default 256; the model's context may allow fewer. */
  readonly maxTokens?: number;
  /** Texts that end the answer; they are not part of it. One that is a special token ends it at that token. */
  readonly stop?: readonly string[];
  /** Tokens that end the answer, beside the model's own. */
  readonly stopTokens?: readonly number[];
  /**
   * Writes on past the model's own end tokens, which then are part of the answer's ids: for timings over equally many
   * tokens.
   */
  readonly ignoreEnd?: boolean;
  /**
   * Reads the prompt in pieces of so many tokens and evicts after each: bounded memory, and with slot positions texts
   * beyond the context. Not as the policies were published: attention within the prompt is no longer exact. Results say
   * so.
   */
  readonly chunk?: number;
}

export interface GenerateOptions extends GenerateRequest, TurnOptions {
  readonly model: Model;
  /**
   * The most bytes that K and V may take at any time, prefill scratch included. Refused with a `CeilingError` before
   * work starts where they would not do.
   */
  readonly maxCacheBytes?: number;
}

/** An answer and how it came about. */
export interface GenerateResult {
  readonly text: string;
  /** Ids of the answer, without the token that ended it. */
  readonly ids: readonly number[];
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** The seed that was used. */
  readonly seed: number;
  readonly policy: {
    readonly name: string;
    /** Whether it evicted anything. Prompts shorter than the budget leave it inactive. */
    readonly active: boolean;
    /** Rows evicted, over all layers and KV heads. */
    readonly evicted: number;
    /** `exact` as published, or `chunked`: evicted between pieces of the prompt. */
    readonly prefill: "exact" | "chunked";
  };
  readonly cache: {
    /** Rows after the prompt, [layer][KV head]. */
    readonly rows: readonly (readonly number[])[];
    /** Bytes after the prompt, room for the answer and tables included; of all sequences of a batch together. */
    readonly bytes: number;
    /** Those of `bytes` that waited for the answer's tokens. */
    readonly roomBytes: number;
    /** The most bytes of cache and prefill scratch; of all sequences of a batch together. */
    readonly peakBytes: number;
    /** Positions of the text that were kept, [layer][KV head], where asked for. */
    readonly kept?: { readonly afterPrefill: number[][][]; readonly atEnd: number[][][] };
  };
  readonly timings: {
    readonly prefillSeconds: number;
    readonly decodeSeconds: number;
    readonly prefillTokensPerSecond: number;
    readonly decodeTokensPerSecond: number;
  };
}

/** Text and ids that are new. */
export type GeneratePiece = Omit<Piece, "sequence">;

/**
 * Answers one prompt inside a cache that its policy keeps small. Errors arrive where the generation is iterated or its
 * result awaited.
 */
export function generate(options: GenerateOptions): Generation<GeneratePiece, GenerateResult> {
  const { model, maxCacheBytes, ...rest } = options;
  return new Generation(single(answerAll(model, [rest], { ...rest, maxCacheBytes })));
}

async function* single(all: AsyncGenerator<Piece, GenerateResult[]>): AsyncGenerator<GeneratePiece, GenerateResult> {
  const results = yield* mapped(all, ({ sequence: _, ...piece }) => piece);
  return results[0]!;
}

/** The same pieces, each as `change` makes it; leaving early ends the work behind them. */
async function* mapped<A, B, R>(pieces: AsyncGenerator<A, R>, change: (piece: A) => B): AsyncGenerator<B, R> {
  try {
    while (true) {
      const next = await pieces.next();
      if (next.done) return next.value;
      yield change(next.value);
    }
  } finally {
    await pieces.return(undefined as never);
  }
}

export interface GenerateBatchOptions extends TurnOptions {
  readonly model: Model;
  readonly requests: readonly GenerateRequest[];
  /** The most bytes that K and V of all sequences may take together. */
  readonly maxCacheBytes?: number;
}

/**
 * Answers several prompts, each under its own policy, decoding them together. `sequence` of a piece is the request's
 * index; results are in the requests' order.
 */
export function generateBatch({
  model,
  requests,
  ...options
}: GenerateBatchOptions): Generation<Piece, GenerateResult[]> {
  return new Generation(answerAll(model, requests, options));
}

async function* answerAll(
  model: Model,
  requests: readonly GenerateRequest[],
  options: TurnOptions & { readonly maxCacheBytes?: number | undefined },
): AsyncGenerator<Piece, GenerateResult[]> {
  checkModel(model);
  if (!Array.isArray(requests) || requests.length === 0)
    throw new RequestError("there are no requests; a batch needs at least one");
  checkTurn(options);
  const { backend, facts, rowDType } = model;
  // Everything is checked and planned before anything is allocated.
  const starts = requests.map(({ policy }) => new Progress(facts.cache, policy));
  const order = groupOrder(requests.map(({ policy }) => policy));
  const place = new Map(order.map((request, sequence) => [request, sequence]));
  const prompts: (readonly number[])[] = [];
  for (const { prompt, templateVariables } of requests)
    prompts.push(await encodePrompt(model, prompt, { templateVariables, signal: options.signal }));
  const members = order.map((index) => planMember(model, starts[index]!, prompts[index]!, requests[index]!));
  const needed = turnBytes(
    model,
    order.map((index) => starts[index]!),
    members.map(({ plan }) => plan),
  );
  checkCeiling(
    needed,
    options.maxCacheBytes,
    "Keep fewer rows (`fit` finds how many), write fewer tokens, or read the prompt in chunks",
  );
  const policies = order.map((index) => requests[index]!.policy);
  const cache = new Cache({ backend, shape: facts.cache, dtype: rowDType, policies, rope: () => undefined });
  try {
    const outcome = yield* mapped(runTurn(model, cache, members, inRequestOrder(options, order)), (piece) => ({
      ...piece,
      sequence: order[piece.sequence]!,
    }));
    return requests.map((request, index) =>
      resultOf(request.policy, members[place.get(index)!]!, place.get(index)!, cache, outcome),
    );
  } finally {
    cache.free();
  }
}

/** Events tell the request's index as well. */
const inRequestOrder = (options: TurnOptions, order: readonly number[]): TurnOptions =>
  options.onEvent
    ? { ...options, onEvent: (event) => options.onEvent!({ ...event, sequence: order[event.sequence]! }) }
    : options;

/**
 * What {@link runTurn} needs for a sequence that reads `ids` next, checked and planned. Throws a `RequestError` and
 * whatever the policy throws.
 */
export function planMember(
  model: Model,
  progress: Progress,
  ids: readonly number[],
  request: Omit<GenerateRequest, "policy" | "prompt">,
): TurnMember {
  const messages = cut(ids, request.chunk);
  const { plan, most, mostReason } = planWithin(model, progress, messages, checkMaxTokens(request.maxTokens));
  const { vocabularySize, endTokens } = model.facts;
  const given: unknown = request.stopTokens ?? [];
  const isToken = (id: unknown) => Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabularySize;
  if (!Array.isArray(given) || !Array.from(given).every(isToken)) {
    throw new RequestError(
      `stopTokens is ${show(given)}; it must be a list of token ids, from 0 to ${vocabularySize - 1}`,
    );
  }
  const stopStrings: unknown = request.stop ?? [];
  if (
    !Array.isArray(stopStrings) ||
    !Array.from(stopStrings).every((stop) => typeof stop === "string" && stop !== "")
  ) {
    throw new RequestError(`stop is ${show(stopStrings)}; it must be a list of texts, none of them empty`);
  }
  if (stopStrings.length > 0 && !model.tokenizer)
    throw new RequestError(`${model.name} has no tokenizer and so no text to stop at; use stopTokens`);
  const stopIds = stopIdsOf(model.tokenizer, stopStrings as string[], vocabularySize);
  const stopTokens = [...new Set([...(request.ignoreEnd ? [] : endTokens), ...(given as number[]), ...stopIds])];
  const writer = new Writer({ tokenizer: model.tokenizer, stopTokens, stopStrings, most, mostReason });
  return { plan, messages, sampling: checkSampling(request), stopTokens, writer };
}

/** The result of one member of a turn. */
export function resultOf(
  policy: Policy,
  { messages, sampling, writer }: TurnMember,
  sequence: number,
  cache: Cache,
  outcome: TurnOutcome,
  evictedBefore = 0,
): GenerateResult {
  const promptTokens = messages.reduce((sum, ids) => sum + ids.length, 0);
  const evicted = cache.progress[sequence]!.evicted - evictedBefore;
  const { prefillSeconds, decodeSeconds, rowsAfterPrefill, kept } = outcome;
  return {
    text: writer.text,
    ids: writer.ids,
    finishReason: writer.finishReason!,
    promptTokens,
    generatedTokens: writer.ids.length,
    seed: sampling.seed,
    policy: { name: policy.name, active: evicted > 0, evicted, prefill: messages.length > 1 ? "chunked" : "exact" },
    cache: {
      rows: rowsAfterPrefill[sequence]!,
      bytes: outcome.cacheBytes,
      roomBytes: outcome.roomBytes,
      peakBytes: outcome.peakBytes,
      ...(kept ? { kept: { afterPrefill: kept.afterPrefill[sequence]!, atEnd: kept.atEnd[sequence]! } } : {}),
    },
    timings: {
      prefillSeconds,
      decodeSeconds,
      prefillTokensPerSecond: promptTokens / prefillSeconds,
      decodeTokensPerSecond: writer.ids.length / decodeSeconds,
    },
  };
}
