import { Account, Cache } from "@ziggurat/cache";
import { freezePolicies } from "@ziggurat/policy";
import type { Piece } from "./engine/decode.js";
import { checkCeiling, checkMaxCacheBytes, turnBytes } from "./engine/limits.js";
import {
  type GenerateRequest,
  type GenerateResult,
  planMember,
  requestNames,
  resultOf,
  type TurnMember,
} from "./engine/member.js";
import { checkTurn, runTurn, type TurnOptions, turnNames } from "./engine/turn.js";
import { RequestError } from "./error.js";
import { Generation } from "./generation.js";
import { checkModel, type Model } from "./model.js";
import { knownOptions, type OptionNames } from "./options.js";
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
  return new Generation(answer({ ...options }));
}

const generateNames: OptionNames<GenerateOptions> = { model: true, maxCacheBytes: true, ...requestNames, ...turnNames };

async function* answer(options: GenerateOptions): AsyncGenerator<GeneratePiece, GenerateResult> {
  knownOptions("generate", options, generateNames);
  const { model, maxCacheBytes, ...rest } = options;
  return yield* single(answerAll(model, [rest], { ...rest, maxCacheBytes }));
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
export function generateBatch(options: GenerateBatchOptions): Generation<Piece, GenerateResult[]> {
  return new Generation(answerBatch({ ...options }));
}

const batchNames: OptionNames<GenerateBatchOptions> = {
  ...{ model: true, requests: true, maxCacheBytes: true },
  ...turnNames,
};

async function* answerBatch(options: GenerateBatchOptions): AsyncGenerator<Piece, GenerateResult[]> {
  knownOptions("generateBatch", options, batchNames);
  const { model, requests, ...rest } = options;
  if (!Array.isArray(requests) || requests.length === 0)
    throw new RequestError("there are no requests; a batch needs at least one");
  const own = Array.from(requests, (request: GenerateRequest, index) => {
    knownOptions(`generateBatch: requests[${index}]`, request, requestNames);
    return { ...request };
  });
  return yield* answerAll(model, own, rest);
}

async function* answerAll(
  model: Model,
  requests: readonly GenerateRequest[],
  options: TurnOptions & { readonly maxCacheBytes?: number | undefined },
): AsyncGenerator<Piece, GenerateResult[]> {
  checkModel(model);
  checkTurn(options);
  checkMaxCacheBytes(options.maxCacheBytes);
  const { backend, facts, rowDType } = model;
  // Everything is checked and planned before anything is allocated.
  const policies = freezePolicies(requests.map(({ policy }) => policy));
  const accounts = policies.map((policy) => Account.empty(facts.cache, policy));
  const members: TurnMember[] = [];
  for (const [sequence, request] of requests.entries()) {
    const { prompt, templateVariables } = request;
    const ids = await encodePrompt(model, prompt, { templateVariables, signal: options.signal });
    members.push(await planMember(model, accounts[sequence]!, ids, request, options.signal));
  }
  const plans = members.map(({ plan }) => plan);
  checkCeiling(
    turnBytes(model, accounts, plans),
    options.maxCacheBytes,
    "Keep fewer rows (`fit` finds how many), write fewer tokens, or read the prompt in chunks",
  );
  const cache = new Cache({ backend, shape: facts.cache, dtype: rowDType, policies });
  try {
    const outcome = yield* runTurn(model, cache, members, options);
    return members.map((member, sequence) => resultOf(member, sequence, cache, outcome));
  } finally {
    cache.free();
  }
}
