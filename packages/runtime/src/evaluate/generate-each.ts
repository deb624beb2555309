import type { Policy } from "@ziggurat/policy";
import { Batch } from "../engine/batch.js";
import { decode } from "../engine/decode.js";
import {
  type GenerateRequest,
  type GenerateResult,
  planMember,
  requestNames,
  resultOf,
  type TurnMember,
} from "../engine/member.js";
import { RequestError } from "../error.js";
import type { GeneratePiece } from "../generate.js";
import type { Model } from "../model.js";
import { checkCallback, knownOptions, type OptionNames } from "../options.js";
import { encodePrompt } from "../text/prompt.js";
import { checkForPolicies, readForPolicies } from "./read-for-policies.js";

export interface GenerateEachOptions extends Omit<GenerateRequest, "policy" | "chunk"> {
  readonly model: Model;
  readonly policies: readonly Policy[];
  readonly signal?: AbortSignal;
  /** Called with the fraction done, from 0 to 1, while the prompt is read. */
  readonly onProgress?: (done: number) => void;
  /** Called with each piece of an answer as it is written, and the index of its policy. */
  readonly onPiece?: (piece: GeneratePiece, policy: number) => void;
}

const { policy: _, chunk: __, ...own } = requestNames;
const names: OptionNames<GenerateEachOptions> = {
  ...{ model: true, policies: true, signal: true, onProgress: true, onPiece: true },
  ...own,
};

/** One policy's answer. Prefill time and scratch are those of the one prefill that all share. */
export interface EachResult extends GenerateResult {
  /**
   * Seconds that the policy took after the prompt's attention: to observe, score, choose and move rows. The watching
   * itself is part of the shared prefill.
   */
  readonly policySeconds: number;
}

/**
 * Answers one prompt under several policies from a single prefill: the prompt's attention is exact and so the same for
 * all, and every policy keeps what it chooses of it. Answers come one after the other, so that their speeds can be
 * compared.
 */
export async function* generateEach(options: GenerateEachOptions): AsyncGenerator<EachResult> {
  const { chunk, ...rest } = { ...options } as GenerateEachOptions & Pick<GenerateRequest, "chunk">;
  knownOptions("generateEach", rest, names);
  checkForPolicies(rest);
  const { model, policies, signal, onProgress, onPiece, ...request } = rest;
  checkCallback("onPiece", onPiece);
  if (chunk !== undefined) {
    throw new RequestError(
      "chunk is not an option here: one prefill for all policies reads the whole prompt; leave it out, or use generate for each policy",
    );
  }
  signal?.throwIfAborted();
  const { backend, facts } = model;
  const { templateVariables } = request;
  const ids = Int32Array.from(await encodePrompt(model, request.prompt, { templateVariables, signal }));
  const members: TurnMember[] = [];
  const read = await readForPolicies(
    model,
    policies,
    ids,
    async (account) => {
      const member = await planMember(model, account, [...ids], request, signal);
      members.push(member);
      return member.plan;
    },
    { signal, onProgress },
  );
  try {
    const copy = await backend.prepare("copy", { words: facts.vocabularySize });
    for (const [index, member] of members.entries()) {
      const cache = read.caches[index]!;
      const rows = cache.rows(0);
      const { sampling, stopTokens, writer } = member;
      const ring = writer.stopsOnText ? 1 : 8;
      const one = [{ sampling, stopTokens, history: ids }];
      const batch = await Batch.create(model, cache, one, { ring, rope: read.rope });
      try {
        backend.dispatch(copy, { x: read.logits, out: batch.logits });
        const begun = performance.now();
        const pieces = decode(model, cache, batch, [writer], { readEvery: ring, logits: false, signal });
        for await (const { ids: written, text } of pieces) onPiece?.({ ids: written, text }, index);
        const outcome = {
          prefillSeconds: read.prefillSeconds,
          decodeSeconds: (performance.now() - begun) / 1000,
          rowsAfterPrefill: [rows],
          cacheBytes: cache.bytes,
          roomBytes: cache.room,
          peakBytes: cache.bytes + read.scratchBytes,
          kept: undefined,
        };
        yield { ...resultOf(member, 0, cache, outcome), policySeconds: read.policySeconds[index]! };
      } finally {
        batch.free();
        cache.free();
      }
    }
  } finally {
    read.free();
  }
}
