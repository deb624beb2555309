import { Cache, type TurnPlan } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import type { Slice } from "@ziggurat/tensor";
import { checkCeiling, checkMaxCacheBytes, chunks, cut, planWithin, turnBytes } from "./engine/limits.js";
import { type GenerateRequest, type GenerateResult, planMember, requestNames, resultOf } from "./engine/member.js";
import { readMessage } from "./engine/read-message.js";
import { settle } from "./engine/settle.js";
import { checkTurn, runTurn, type TurnOptions, turnNames } from "./engine/turn.js";
import { RequestError } from "./error.js";
import { feedTokens, type LogProbabilityOptions } from "./evaluate/feed-tokens.js";
import type { GeneratePiece } from "./generate.js";
import { Generation } from "./generation.js";
import { checkModel, type Model } from "./model.js";
import { checkCallback, checkSignal, knownOptions, type OptionNames } from "./options.js";
import { encodePrompt, type Prompt } from "./text/prompt.js";
import { Transcript, type Turn } from "./text/transcript.js";

export interface SessionOptions {
  readonly model: Model;
  readonly policy: Policy;
  /**
   * The most bytes that K and V may take at any time, prefill scratch included. A turn that would take more is refused
   * with a `CeilingError`.
   */
  readonly maxCacheBytes?: number;
}

/** A turn of a session: a request without a policy, which the session has. */
export interface TurnRequest extends Omit<GenerateRequest, "policy">, TurnOptions {}

const sessionNames: OptionNames<SessionOptions> = { model: true, policy: true, maxCacheBytes: true };
const { policy: _, ...turnRequestNames }: OptionNames<TurnRequest & Pick<GenerateRequest, "policy">> = {
  ...requestNames,
  ...turnNames,
};

export interface SessionReadOptions {
  /** Reads the message `chunk` tokens at a time, evicting after each chunk. */
  readonly chunk?: number;
  readonly signal?: AbortSignal;
  /** Variables for the chat template; JSON. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
}

const readNames: OptionNames<SessionReadOptions> = { chunk: true, signal: true, templateVariables: true };
const feedNames: OptionNames<LogProbabilityOptions> = { signal: true, onLogits: true };

/** Which queries chose the rows that a session holds. */
export interface SessionOrigin {
  /** Tokens read when rows were last chosen: the queries are the last of those. 0 if nothing was evicted yet. */
  readonly chosenAt: number;
  /**
   * Tokens read before the fork, if the session is one: earlier rows were chosen without knowing the questions that
   * follow.
   */
  readonly forkedAt: number | undefined;
}

/**
 * A conversation that continues inside its compressed cache: after every message the policy keeps what it chooses of
 * all that was read. The tokens of a chat are those of its template over all messages. If the template writes earlier
 * messages differently once more follow, as some leave out reasoning, the turn reads the whole conversation anew. A
 * session does one piece of work at a time. Close it to free its memory. If reading fails or is aborted midway, its
 * layers no longer agree, and the session is closed.
 */
export class Session {
  readonly model: Model;
  readonly policy: Policy;
  readonly #maxCacheBytes: number | undefined;
  #cache: Cache;
  #transcript: Transcript;
  /** f32 [vocabulary], after the last token read. */
  readonly #logits: Slice;
  /** Tokens read before `#logits`; a turn that generates leaves its logits elsewhere. */
  #logitsAt = 0;
  #forkedAt: number | undefined;
  #state: "open" | "busy" | "closed" = "open";

  /** Throws a `RequestError` or a `PolicyError` if an option is not valid; nothing is allocated then. */
  constructor(options: SessionOptions) {
    knownOptions("Session", options, sessionNames);
    const { model, policy, maxCacheBytes } = options;
    checkModel(model);
    checkMaxCacheBytes(maxCacheBytes);
    this.model = model;
    this.policy = policy;
    this.#maxCacheBytes = maxCacheBytes;
    this.#cache = this.#newCache();
    this.#transcript = new Transcript(model);
    this.#logits = { buffer: model.backend.allocate(4 * model.facts.vocabularySize, "workspace"), offset: 0 };
  }

  #newCache(): Cache {
    const { backend, facts, rowDType } = this.model;
    return new Cache({ backend, shape: facts.cache, dtype: rowDType, policies: [this.policy] });
  }

  /** Tokens read so far, evicted ones among them. */
  get seen(): number {
    return this.#cache.account(0).seen;
  }

  /** Whether the session is closed: by `close`, or because reading failed or was aborted midway. */
  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Rows held, [layer][KV head]. */
  get rows(): number[][] {
    return this.#cache.rows(0);
  }

  /** Bytes of the cache: arenas, with their room, and tables. */
  get cacheBytes(): number {
    return this.#cache.bytes;
  }

  get origin(): SessionOrigin {
    return { chosenAt: this.#cache.account(0).chosenAt, forkedAt: this.#forkedAt };
  }

  /** Positions of the text that are kept, ascending, [layer][KV head]. */
  kept(): Promise<number[][][]> {
    return this.#work(async () => (this.seen === 0 ? [] : this.#cache.kept(0)));
  }

  /** Answers a prompt. For a chat, give only the messages that are new. */
  generate(request: TurnRequest): Generation<GeneratePiece, GenerateResult> {
    return new Generation(this.#turn({ ...request }));
  }

  async *#turn(request: TurnRequest): AsyncGenerator<GeneratePiece, GenerateResult> {
    knownOptions("generate", request, turnRequestNames);
    checkTurn(request);
    this.#begin();
    let damaged = false;
    try {
      const turn = await this.#transcript.turn(request.prompt, this.seen, { ...request, answer: true });
      const member = await this.#planned(turn, async () => ({
        ...(await planMember(this.model, this.#cache.account(0), turn.ids, request, request.signal)),
        earlier: this.#transcript.ids.slice(0, this.seen),
      }));
      const cache = this.#cache;
      const { evicted, seen } = cache.account(0);
      const pieces = runTurn(this.model, cache, [member], request);
      try {
        while (true) {
          damaged = true;
          const next = await pieces.next();
          damaged = false;
          if (next.done) return resultOf(member, 0, cache, next.value, evicted);
          const { sequence: _, ...piece } = next.value;
          yield piece;
        }
      } catch (error) {
        // An answer is aborted between two tokens; only an unfinished prefill leaves layers that disagree.
        if (request.signal?.aborted && error === request.signal.reason)
          damaged = cache.account(0).seen < seen + turn.ids.length;
        throw error;
      } finally {
        await pieces.return(undefined as never);
        this.#transcript.add(turn, seen, member.writer.ids, member.writer.text);
      }
    } finally {
      this.#end(damaged);
    }
  }

  /**
   * Plans a turn against the cache that it will use: an empty one if the conversation is read anew. The old one stays
   * if the plan is refused.
   */
  async #planned<Planned extends { readonly plan: TurnPlan }>(
    { isAnew }: Turn,
    plan: () => Promise<Planned>,
  ): Promise<Planned> {
    const before = this.#cache;
    if (isAnew) this.#cache = this.#newCache();
    try {
      const planned = await plan();
      this.#check(planned.plan);
      if (isAnew) before.free();
      return planned;
    } catch (error) {
      if (isAnew) {
        this.#cache.free();
        this.#cache = before;
      }
      throw error;
    }
  }

  /** Reads without answering; `logProbabilities` and later turns continue from here. */
  async read(prompt: Prompt, options: SessionReadOptions = {}): Promise<void> {
    knownOptions("read", options, readNames);
    const { chunk, signal, templateVariables } = options;
    checkSignal(signal);
    this.#begin();
    let damaged = false;
    try {
      signal?.throwIfAborted();
      const turn = await this.#transcript.turn(prompt, this.seen, { answer: false, templateVariables, signal });
      const ids = Int32Array.from(turn.ids);
      const messages = chunks(ids.length, chunk);
      const { plan } = await this.#planned(turn, () =>
        planWithin(this.model, this.#cache.account(0), messages, 1, signal),
      );
      const { seen } = this;
      damaged = true;
      await this.#read(plan, cut(ids, messages), signal);
      damaged = false;
      this.#transcript.add(turn, seen);
    } finally {
      this.#end(damaged);
    }
  }

  async #read(plan: TurnPlan, messages: Iterable<Int32Array>, signal: AbortSignal | undefined): Promise<void> {
    const lease = await this.model.ropes.lease(plan.positions);
    const cache = this.#cache;
    try {
      cache.reserve([plan]);
      const options = { logits: this.#logits, rope: lease.rope, signal };
      for (const ids of messages) await readMessage(this.model, [{ cache, sequence: 0 }], ids, options);
      this.#logitsAt = this.seen;
    } finally {
      lease.release();
    }
  }

  /**
   * Log-probability (natural) of each given token after all that came before it. The model reads them one by one, and
   * the schedule is asked after every one. At least one token must have been read before.
   */
  async logProbabilities(
    ids: readonly number[] | Int32Array,
    options: LogProbabilityOptions = {},
  ): Promise<Float32Array> {
    knownOptions("logProbabilities", options, feedNames);
    checkSignal(options.signal);
    checkCallback("onLogits", options.onLogits);
    this.#begin();
    let damaged = false;
    try {
      options.signal?.throwIfAborted();
      const fresh = await encodePrompt(this.model, ids, { first: false });
      if (this.#transcript.ids.length === 0)
        throw new RequestError("logProbabilities: nothing comes before the first token; read at least one token first");
      if (this.#unread.length === 0 && this.#logitsAt !== this.seen) {
        throw new RequestError(
          "logProbabilities: the last token read was followed by an end of turn; read the start of the next turn first",
        );
      }
      const unread = this.#unread;
      const { seen } = this;
      const fed = [...unread, ...fresh];
      const account = this.#cache.account(0);
      const { plan, most } = await planWithin(this.model, account, [], fed.length + 1, options.signal);
      if (most < fed.length + 1)
        throw new RequestError(
          `logProbabilities: ${fed.length} tokens after ${this.seen} read are more than the context of ${this.model.name}`,
        );
      this.#check(plan);
      const lease = await this.model.ropes.lease(plan.positions);
      try {
        damaged = true;
        this.#cache.reserve([plan]);
        await this.#cache.grow();
        const found = await feedTokens(this.model, this.#cache, this.#logits, fed, { ...options, rope: lease.rope });
        damaged = false;
        this.#logitsAt = this.seen;
        this.#transcript.add({ ids: fed, isAnew: false, chat: undefined, isContinued: false }, seen);
        return found.slice(unread.length);
      } finally {
        lease.release();
      }
    } finally {
      this.#end(damaged);
    }
  }

  /**
   * A second session that continues from here, so that one compressed text serves several questions. Its `origin` says
   * so.
   */
  fork(): Promise<Session> {
    return this.#work(async () => {
      const { model, policy } = this;
      const fork = new Session({
        model,
        policy,
        ...(this.#maxCacheBytes === undefined ? {} : { maxCacheBytes: this.#maxCacheBytes }),
      });
      try {
        if (this.seen > 0) {
          await fork.#cache.copyFrom(this.#cache);
          const copy = await model.backend.prepare("copy", { words: model.facts.vocabularySize });
          model.backend.dispatch(copy, { x: this.#logits, out: fork.#logits });
        }
        // An out-of-memory copy is reported here rather than in an unrelated call.
        await settle(model.backend, fork.#logits, fork.#cache.proof);
        fork.#transcript = this.#transcript.copy();
        fork.#logitsAt = this.#logitsAt;
        fork.#forkedAt = this.seen;
        return fork;
      } catch (error) {
        fork.close();
        throw error;
      }
    });
  }

  /** Frees the session's memory. May be called again. Throws a `RequestError` during a turn. */
  close(): void {
    if (this.#state === "busy")
      throw new RequestError("the session is at work; abort that or wait for it before closing");
    if (this.#state === "open") this.#free();
  }

  #free(): void {
    this.#state = "closed";
    this.#cache.free();
    this.model.backend.free(this.#logits.buffer);
  }

  /** Ids written but not read yet: the last one of an answer that reached its limit. */
  get #unread(): number[] {
    return this.#transcript.ids.slice(this.seen);
  }

  #begin(): void {
    if (this.#state === "closed") throw new RequestError("the session is closed; open a new one");
    if (this.#state === "busy") throw new RequestError("the session is at work; wait for it, or fork the session");
    this.#state = "busy";
  }

  #end(damaged: boolean): void {
    if (damaged) this.#free();
    else this.#state = "open";
  }

  async #work<T>(work: () => Promise<T>): Promise<T> {
    this.#begin();
    try {
      return await work();
    } finally {
      this.#end(false);
    }
  }

  #check(plan: TurnPlan): void {
    checkCeiling(
      turnBytes(this.model, [this.#cache.account(0)], [plan], this.#cache.arenaBytes),
      this.#maxCacheBytes,
      "Keep fewer rows, write fewer tokens, or read the message in chunks",
    );
  }
}
