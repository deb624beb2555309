import type { Account, Cache, TurnPlan } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import { RequestError, show } from "../error.js";
import type { Model } from "../model.js";
import { checkFlag, type OptionNames } from "../options.js";
import { stopIdsOf } from "../text/end-of-turn.js";
import type { Prompt } from "../text/prompt.js";
import { checkMaxTokens, chunks, planWithin } from "./limits.js";
import { checkSampling, type Sampling, type SamplingOptions } from "./sampling.js";
import { type FinishReason, Writer } from "./writer.js";

/** A request for one answer. */
export interface GenerateRequest extends SamplingOptions {
  readonly policy: Policy;
  /** If a chat ends with the assistant's message, the answer continues that message. */
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
   * Writes on past the model's own end tokens, which are part of the answer's ids then. For timings over a fixed number
   * of tokens.
   */
  readonly ignoreEnd?: boolean;
  /**
   * Reads the prompt `chunk` tokens at a time, evicting after each chunk. Bounds memory, and with slot positions reads
   * texts beyond the context. Differs from the published policies, because attention within the prompt is no longer
   * exact; the result says so.
   */
  readonly chunk?: number;
}

/** The names of a request's options. */
export const requestNames: OptionNames<GenerateRequest> = {
  ...{
    policy: true,
    prompt: true,
    templateVariables: true,
    maxTokens: true,
    stop: true,
    stopTokens: true,
    ignoreEnd: true,
    chunk: true,
  },
  ...{ temperature: true, topK: true, topP: true, minP: true, repetitionPenalty: true, seed: true },
};

/** An answer and how it was made. */
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
    /** Whether it evicted anything. A prompt shorter than the budget leaves the policy inactive. */
    readonly active: boolean;
    /** Rows evicted, over all layers and KV heads. */
    readonly evicted: number;
    /** `exact` as published, or `chunked`: rows were evicted between chunks of the prompt. */
    readonly prefill: "exact" | "chunked";
  };
  readonly cache: {
    /** Rows after the prompt, [layer][KV head]. */
    readonly rows: readonly (readonly number[])[];
    /** Bytes after the prompt, with room for the answer and tables; of all sequences of a batch together. */
    readonly bytes: number;
    /** The part of `bytes` that is room for the answer's tokens. */
    readonly roomBytes: number;
    /** The most bytes of cache and prefill scratch; of all sequences of a batch together. */
    readonly peakBytes: number;
    /** Positions of the text that were kept, [layer][KV head], if asked for. */
    readonly kept?: { readonly afterPrefill: number[][][]; readonly atEnd: number[][][] };
  };
  readonly timings: {
    readonly prefillSeconds: number;
    readonly decodeSeconds: number;
    readonly prefillTokensPerSecond: number;
    readonly decodeTokensPerSecond: number;
  };
}

/** One sequence's part in a turn. */
export interface TurnMember {
  readonly plan: TurnPlan;
  /** Token ids of the prompt. */
  readonly ids: Int32Array;
  /** Tokens of each message that the prompt is read in: one, or its chunks. */
  readonly messages: readonly number[];
  readonly sampling: Sampling;
  readonly stopTokens: readonly number[];
  readonly writer: Writer;
  /** Ids read in earlier turns, for the repetition penalty. */
  readonly earlier?: readonly number[];
}

/** What a turn took and left. */
export interface TurnOutcome {
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  /** Rows after the prompts, [sequence][layer][KV head]. */
  readonly rowsAfterPrefill: readonly (readonly (readonly number[])[])[];
  /** Bytes of the cache after the prompts: arenas, with their room, and tables. */
  readonly cacheBytes: number;
  /** The part of `cacheBytes` that is room for the answers' tokens. */
  readonly roomBytes: number;
  /** The most bytes that cache and prefill scratch took together. */
  readonly peakBytes: number;
  /** Kept positions after the prompts and at the end, [sequence][layer][KV head], if asked for. */
  readonly kept: { readonly afterPrefill: number[][][][]; readonly atEnd: number[][][][] } | undefined;
}

/**
 * Checks and plans a sequence that reads `ids` next. Rejects with a `RequestError` if the request is not valid, with a
 * `PolicyError` if the policy's numbers are not, with the signal's reason if it is aborted.
 */
export async function planMember(
  model: Model,
  account: Account,
  ids: readonly number[],
  request: Omit<GenerateRequest, "policy" | "prompt">,
  signal?: AbortSignal,
): Promise<TurnMember> {
  const messages = chunks(ids.length, request.chunk);
  const maxTokens = checkMaxTokens(request.maxTokens);
  const sampling = checkSampling(request);
  checkFlag("ignoreEnd", request.ignoreEnd);
  const { vocabularySize, endTokens } = model.facts;
  const given: unknown = request.stopTokens === undefined ? [] : request.stopTokens;
  const isToken = (id: unknown) => Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabularySize;
  if (!Array.isArray(given) || !Array.from(given).every(isToken)) {
    throw new RequestError(
      `stopTokens is ${show(given)}; it must be a list of token ids, from 0 to ${vocabularySize - 1}`,
    );
  }
  const stopStrings: unknown = request.stop === undefined ? [] : request.stop;
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
  const { plan, most, mostReason } = await planWithin(model, account, messages, maxTokens, signal);
  const writer = new Writer({ tokenizer: model.tokenizer, stopTokens, stopStrings, most, mostReason });
  return { plan, ids: Int32Array.from(ids), messages, sampling, stopTokens, writer };
}

/** The result of one member of a turn. `evictedBefore`: rows that its sequence had evicted before the turn. */
export function resultOf(
  { ids, messages, sampling, writer }: TurnMember,
  sequence: number,
  cache: Cache,
  outcome: TurnOutcome,
  evictedBefore = 0,
): GenerateResult {
  const promptTokens = ids.length;
  const { policy, evicted: evictedByNow } = cache.account(sequence);
  const evicted = evictedByNow - evictedBefore;
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
