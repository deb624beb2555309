import { Cache, type TurnPlan } from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import type { Slice } from "@ziggurat/tensor";
import { checkCeiling, cut, planWithin, turnBytes } from "./engine/limits.js";
import { readMessage } from "./engine/read-message.js";
import { settle } from "./engine/settle.js";
import { checkTurn, runTurn, type TurnOptions } from "./engine/turn.js";
import { RequestError } from "./error.js";
import { feedTokens, type LogProbabilityOptions } from "./evaluate/score.js";
import { type GeneratePiece, type GenerateRequest, type GenerateResult, planMember, resultOf } from "./generate.js";
import { Generation } from "./generation.js";
import { checkModel, type Model } from "./model.js";
import { encodePrompt, type Prompt } from "./text/prompt.js";
import { Transcript, type Turn } from "./text/transcript.js";

export interface SessionOptions {
  readonly model: Model;
  readonly policy: Policy;
  /**
   * The most bytes that K and V may take at any time, prefill scratch included; a turn that would need more is refused
   * with a `CeilingError`.
   */
  readonly maxCacheBytes?: number;
}

/** A turn of a session: a request without its policy, which is the session's. */
export interface TurnRequest extends Omit<GenerateRequest, "policy">, TurnOptions {}

/** Which queries chose the rows that a session holds. */
export interface SessionOrigin {
  /** Tokens read when rows were last chosen: the queries are the last of those. 0 where nothing was evicted yet. */
  readonly chosenAt: number;
  /**
   * Tokens read before the fork, where the session is one: rows from before were chosen without knowing what is asked
   * after it.
   */
  readonly forkedAt: number | undefined;
}

/**
 * A conversation that goes on inside its compressed cache: at the end of every turn the policy keeps what it chooses of
 * all that was read. The tokens of a chat are those of its template over all messages; if the template writes earlier
 * messages differently once more follow, as some leave out reasoning, the turn reads the whole conversation anew. One piece of work at a time. Close it to free its memory. Where reading fails or is aborted
 * midway, layers no longer agree, and the session is closed.
 */
export class Session {
  readonly model: Model;
  readonly policy: Policy;
  readonly #maxCacheBytes: number | undefined;
  #cache: Cache;
  #transcript: Transcript;
  /** f32 [vocabulary], after the last token read. */
  readonly #logits: Slice;
  /** Whether `#logits` are those after the last token read; a turn that generates leaves them elsewhere. */
  #logitsAt = 0;
  #forkedAt: number | undefined;
  #state: "open" | "busy" | "closed" = "open";

  constructor({ model, policy, maxCacheBytes }: SessionOptions) {
    checkModel(model);
    this.model = model;
    this.policy = policy;
    this.#maxCacheBytes = maxCacheBytes;
    this.#cache = this.#newCache();
    this.#transcript = new Transcript(model);
    this.#logits = { buffer: model.backend.allocate(4 * model.facts.vocabularySize, "workspace"), offset: 0 };
  }

  #newCache(): Cache {
    const { backend, facts, rowDType } = this.model;
    return new Cache({ backend, shape: facts.cache, dtype: rowDType, policies: [this.policy], rope: () => undefined });
  }

  /** Tokens read so far, evicted ones among them. */
  get seen(): number {
    return this.#cache.progress[0]!.seen;
  }

  /** Whether it was closed, by `close` or because reading failed or was aborted midway. */
  get closed(): boolean {
    return this.#state === "closed";
  }

  /** Rows held, [layer][KV head]. */
  get rows(): number[][] {
    return this.#cache.progress[0]!.rows.map((heads) => [...heads]);
  }

  /** Bytes of the cache: arenas, with their room, and tables. */
  get cacheBytes(): number {
    return this.#cache.bytes;
  }

  get origin(): SessionOrigin {
    return { chosenAt: this.#cache.progress[0]!.chosenAt, forkedAt: this.#forkedAt };
  }

  /** Positions of the text that are kept, ascending, [layer][KV head]. */
  kept(): Promise<number[][][]> {
    return this.#work(async () => (this.seen === 0 ? [] : this.#cache.kept()));
  }

  /** Answers. Of a chat, give the messages that are new. */
  generate(request: TurnRequest): Generation<GeneratePiece, GenerateResult> {
    return new Generation(this.#turn(request));
  }

  async *#turn(request: TurnRequest): AsyncGenerator<GeneratePiece, GenerateResult> {
    this.#begin();
    let damaged = false;
    try {
      checkTurn(request);
      const turn = await this.#transcript.turn(request.prompt, this.seen, { ...request, answer: true });
      const member = this.#planned(turn, () => ({
        ...planMember(this.model, this.#cache.progress[0]!, turn.ids, request),
        earlier: this.#transcript.ids.slice(0, this.seen),
      }));
      const cache = this.#cache;
      const { evicted, seen } = cache.progress[0]!;
      const pieces = runTurn(this.model, cache, [member], request);
      try {
        while (true) {
          damaged = true;
          const next = await pieces.next();
          damaged = false;
          if (next.done) return resultOf(this.policy, member, 0, cache, next.value, evicted);
          const { sequence: _, ...piece } = next.value;
          yield piece;
        }
      } catch (error) {
        // An answer is aborted between two tokens, when nothing is half done.
        if (request.signal?.aborted && error === request.signal.reason)
          damaged = cache.progress[0]!.seen < seen + turn.ids.length;
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
   * Plans a turn against the cache that it will use: an empty one if the conversation is read anew. The old one stays if
   * the plan is refused.
   */
  #planned<Planned extends { readonly plan: TurnPlan }>({ isAnew }: Turn, plan: () => Planned): Planned {
    const before = this.#cache;
    if (isAnew) this.#cache = this.#newCache();
    try {
      const planned = plan();
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

  /** Reads without answering; `score` and later turns go on from here. */
  async read(
    prompt: Prompt,
    {
      chunk,
      signal,
      templateVariables,
    }: { chunk?: number; signal?: AbortSignal; templateVariables?: Readonly<Record<string, unknown>> } = {},
  ): Promise<void> {
    this.#begin();
    let damaged = false;
    try {
      signal?.throwIfAborted();
      const turn = await this.#transcript.turn(prompt, this.seen, { answer: false, signal, templateVariables });
      const messages = cut(turn.ids, chunk);
      const { plan } = this.#planned(turn, () => planWithin(this.model, this.#cache.progress[0]!, messages, 1));
      const { seen } = this;
      damaged = true;
      await this.#read(plan, messages, signal);
      damaged = false;
      this.#transcript.add(turn, seen);
    } finally {
      this.#end(damaged);
    }
  }

  async #read(plan: TurnPlan, messages: readonly Int32Array[], signal: AbortSignal | undefined): Promise<void> {
    const lease = await this.model.ropes.lease(plan.positions);
    const cache = this.#cache;
    try {
      cache.rope = lease.rope;
      for (const ids of messages)
        await readMessage(this.model, [{ cache, sequence: 0, plans: [plan] }], ids, { logits: this.#logits, signal });
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
    this.#begin();
    let damaged = false;
    try {
      options.signal?.throwIfAborted();
      const fresh = await encodePrompt(this.model, ids, { first: false });
      if (this.#transcript.ids.length === 0)
        throw new RequestError("score: nothing comes before the first token; read at least one token first");
      if (this.#unread.length === 0 && this.#logitsAt !== this.seen) {
        throw new RequestError(
          "score: the last token read was followed by an end of turn; read the start of the next turn first",
        );
      }
      const unread = this.#unread;
      const { seen: read } = this;
      const fed = [...unread, ...fresh];
      const { plan, most } = planWithin(this.model, this.#cache.progress[0]!, [], fed.length + 1);
      if (most < fed.length + 1)
        throw new RequestError(
          `score: ${fed.length} tokens after ${this.seen} read are more than the context of ${this.model.name}`,
        );
      this.#check(plan);
      const lease = await this.model.ropes.lease(plan.positions);
      try {
        damaged = true;
        await this.#cache.grow([plan]);
        this.#cache.rope = lease.rope;
        const scores = await feedTokens(this.model, this.#cache, this.#logits, fed, options);
        damaged = false;
        this.#logitsAt = this.seen;
        this.#transcript.add({ ids: fed, isAnew: false, chat: undefined, isContinued: false }, read);
        return scores.slice(unread.length);
      } finally {
        lease.release();
      }
    } finally {
      this.#end(damaged);
    }
  }

  /**
   * A session of its own that goes on from here: a compressed text, used for several questions. Its `origin` says so.
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
          const rows = this.rows;
          await fork.#cache.copyFrom(this.#cache, [{ capacity: rows, held: rows }]);
          const copy = await model.backend.prepare("copy", { words: model.facts.vocabularySize });
          model.backend.dispatch(copy, { x: this.#logits, out: fork.#logits });
        }
        // A copy that found no memory is told here, not to whoever waits for the device next.
        await settle(model.backend, fork.#logits, fork.#cache.tables.length(0));
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

  /** Frees the session's memory; again is fine. Throws where a turn is under way. */
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

  /** Ids written but not read yet: the last one of an answer that was cut off. */
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
    const { progress, arenaBytes } = this.#cache;
    checkCeiling(
      turnBytes(this.model, progress, [plan], arenaBytes),
      this.#maxCacheBytes,
      "Keep fewer rows, write fewer tokens, or read the message in chunks",
    );
  }
}
