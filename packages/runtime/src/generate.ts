import { Account, Cache } from "@ziggurat/cache";
import type { Piece } from "./engine/decode.js";
import { checkCeiling, turnBytes } from "./engine/limits.js";
import { type GenerateRequest, type GenerateResult, planMember, resultOf } from "./engine/member.js";
import { checkTurn, runTurn, type TurnOptions } from "./engine/turn.js";
import { RequestError } from "./error.js";
import { Generation } from "./generation.js";
import { checkModel, type Model } from "./model.js";
import { encodePrompt } from "./text/prompt.js";

export type { GenerateRequest, GenerateResult } from "./engine/member.js";

export interface GenerateOptions extends GenerateRequest, TurnOptions {
  readonly model: Model;
  /**
   * The most bytes that K and V may take at any time, prefill scratch included. A request that would take more is
   * refused with a `CeilingError` before work starts.
   */
  readonly maxCacheBytes?: number;
}

/** New text and ids of an answer. */
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
  try {
    while (true) {
      const next = await all.next();
      if (next.done) return next.value[0]!;
      const { sequence: _, ...piece } = next.value;
      yield piece;
    }
  } finally {
    await all.return(undefined as never);
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
  const accounts = requests.map(({ policy }) => Account.empty(facts.cache, policy));
  const members = requests.map((request, sequence) =>
    planMember(model, accounts[sequence]!, encodePrompt(model, request.prompt), request),
  );
  const plans = members.map(({ plan }) => plan);
  checkCeiling(
    turnBytes(model, accounts, plans),
    options.maxCacheBytes,
    "Keep fewer rows (`fit` finds how many), write fewer tokens, or read the prompt in chunks",
  );
  const policies = requests.map(({ policy }) => policy);
  const cache = new Cache({ backend, shape: facts.cache, dtype: rowDType, policies });
  try {
    const outcome = yield* runTurn(model, cache, members, options);
    return members.map((member, sequence) => resultOf(member, sequence, cache, outcome));
  } finally {
    cache.free();
  }
}
