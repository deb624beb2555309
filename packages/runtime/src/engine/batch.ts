import { type Cache, DecodeStep, type Keep, type RopeOf, stepPattern } from "@ziggurat/cache";
import { type Backend, Buffers, type Kernel, type Program, type Slice } from "@ziggurat/tensor";
import type { Forward } from "../families/family.js";
import type { Model } from "../model.js";
import type { Sampling } from "./sampling.js";

/** How one sequence of a batch chooses tokens and ends. */
export interface BatchMember {
  readonly sampling: Sampling;
  /** Tokens that end it; the device checks for them. */
  readonly stopTokens: readonly number[];
  /** Tokens read so far, for the repetition penalty; may be left out if the penalty is 1. */
  readonly history?: Int32Array;
}

export interface BatchOptions {
  /** How many tokens may be sampled before their ids are collected. */
  readonly ring: number;
  /** The rotation tables. */
  readonly rope: RopeOf;
}

/** The most recorded steps that are kept; policies rarely have more than two kinds of step. */
const mostPrograms = 8;

interface Recorded {
  readonly step: DecodeStep;
  readonly program: Program;
}

/**
 * The sequences of one cache, decoding together. A step is recorded once for each pattern of layers that it compresses,
 * then replayed. Tokens, positions and lengths are in device memory, and only token ids are read back. Tensors of all
 * sequences are in the order of the cache's places; methods take and give sequences.
 */
export class Batch {
  readonly #model: Model;
  readonly #cache: Cache;
  readonly #backend: Backend;
  readonly #forward: Forward;
  readonly #sample: Kernel<"sample">;
  readonly #buffers: Buffers;
  readonly #recorded = new Map<string, Recorded>();
  /** f32 [sequences, vocabulary]: logits after the last token fed. */
  readonly logits: Slice;
  /** i32 [sequences]: the token to be fed next. */
  readonly tokens: Slice;
  readonly #x: Slice;
  readonly #ids: Slice;
  readonly #samplingOperands: { params: Slice; seeds: Slice; stops: Slice; steps: Slice; history?: Slice };
  /** How many sampled ids the device remembers. */
  readonly ring: number;
  readonly #rope: RopeOf;
  #sampling: Program | undefined;
  #sampled = 0;
  #collected = 0;

  private constructor(
    model: Model,
    cache: Cache,
    forward: Forward,
    sample: Kernel<"sample">,
    members: readonly BatchMember[],
    { ring, rope }: BatchOptions,
  ) {
    const { backend, facts } = model;
    const sequences = members.length;
    this.#model = model;
    this.#cache = cache;
    this.#backend = backend;
    this.#forward = forward;
    this.#sample = sample;
    this.ring = ring;
    this.#rope = rope;
    this.#buffers = new Buffers(backend);
    const allocate = (words: number, data?: Float32Array | Int32Array): Slice => {
      const slice = this.#buffers.allocate(4 * words, "workspace");
      if (data) backend.write(slice, data);
      return slice;
    };
    this.logits = allocate(sequences * facts.vocabularySize);
    this.tokens = allocate(sequences);
    this.#x = allocate(sequences * facts.hiddenSize);
    this.#ids = allocate(sequences * ring);
    const params = members.flatMap(({ sampling: s }) => [s.temperature, s.topK, s.topP, s.minP, s.repetitionPenalty]);
    const stopCount = sample.spec.stopCount;
    const stops = members.flatMap(({ stopTokens }) => [
      ...stopTokens,
      ...new Array<number>(stopCount - stopTokens.length).fill(-1),
    ]);
    this.#samplingOperands = {
      params: allocate(params.length, Float32Array.from(params)),
      seeds: allocate(
        sequences,
        Int32Array.from(members, ({ sampling }) => sampling.seed),
      ),
      stops: allocate(stops.length, Int32Array.from(stops)),
      steps: allocate(sequences),
      ...(sample.spec.history
        ? { history: allocate(sequences * facts.vocabularySize, counts(members, facts.vocabularySize)) }
        : {}),
    };
  }

  /** Prepares a batch of the cache's sequences; `members[sequence]` says how each one continues. */
  static async create(
    model: Model,
    cache: Cache,
    members: readonly BatchMember[],
    options: BatchOptions,
  ): Promise<Batch> {
    const { ring } = options;
    const sequences = members.length;
    const stopCount = Math.max(1, ...members.map(({ stopTokens }) => stopTokens.length));
    const history = members.some(({ sampling }) => sampling.repetitionPenalty !== 1);
    const vocabulary = model.facts.vocabularySize;
    const sample = await model.backend.prepare("sample", { sequences, vocabulary, ring, stopCount, history });
    const forward = await model.forward(sequences);
    try {
      const placed = cache.order.map((sequence) => members[sequence]!);
      return new Batch(model, cache, forward, sample, placed, options);
    } catch (error) {
      forward.free();
      throw error;
    }
  }

  /** The logits of one sequence. */
  logitsOf(sequence: number): Slice {
    const { buffer, offset } = this.logits;
    return { buffer, offset: offset + 4 * this.#cache.placeOf(sequence) * this.#model.facts.vocabularySize };
  }

  /** Chooses every sequence's next token from its logits. Only enqueues. */
  sample(): void {
    this.#sampling ??= this.#backend.record(() =>
      this.#backend.dispatch(this.#sample, {
        ...this.#samplingOperands,
        logits: this.logits,
        ended: this.#cache.ended,
        tokens: this.tokens,
        ids: this.#ids,
      }),
    );
    this.#backend.replay(this.#sampling);
    this.#sampled++;
  }

  /**
   * Feeds `tokens` to the given sequences, evicts as their policies decide, and computes new logits. The others must
   * have ended. Enqueues, once the step is prepared.
   */
  async feed(sequences: readonly number[]): Promise<void> {
    const keeps = this.#cache.feed(sequences);
    const { program } = await this.#step(keeps);
    this.#cache.setKeep(keeps);
    this.#backend.replay(program);
  }

  async #step(keeps: readonly Keep[]): Promise<Recorded> {
    const pattern = stepPattern(this.#cache, keeps);
    const key = pattern.map((groups) => groups.map(Number).join("")).join(" ");
    const known = this.#recorded.get(key);
    if (known) return known;
    const { qkv, out } = this.#forward;
    // Frees a recorded step first, so that there are never more than `mostPrograms`.
    if (this.#recorded.size >= mostPrograms) this.#forget(this.#recorded.keys().next().value!);
    const step = await DecodeStep.prepare(this.#cache, {
      pattern,
      qkv,
      out,
      rope: this.#rope,
      gram: this.#model.outputGram,
    });
    try {
      const program = this.#backend.record(() => {
        this.#forward.embed(this.tokens, this.#x);
        pattern.forEach((_, layer) => this.#forward.layer(layer, this.#x, () => step.attend(layer)));
        step.end();
        this.#forward.head(this.#x, this.logits);
      });
      this.#recorded.set(key, { step, program });
      return { step, program };
    } catch (error) {
      step.free();
      throw error;
    }
  }

  #forget(key: string): void {
    const { step, program } = this.#recorded.get(key)!;
    this.#recorded.delete(key);
    this.#backend.release(program);
    step.free();
  }

  /**
   * Reads the ids sampled since the last call, at most `ring` of them: [sample][sequence]. Those of a sequence that has
   * ended mean nothing.
   */
  async collect(): Promise<number[][]> {
    const { sequences } = this.#cache;
    const ids = new Int32Array((await this.#backend.read(this.#ids, 4 * sequences * this.ring)).buffer);
    const first = this.#collected;
    this.#collected = this.#sampled;
    const idOf = (sample: number, sequence: number) =>
      ids[this.#cache.placeOf(sequence) * this.ring + ((first + sample) % this.ring)]!;
    return Array.from({ length: this.#sampled - first }, (_, sample) =>
      Array.from({ length: sequences }, (_, sequence) => idOf(sample, sequence)),
    );
  }

  free(): void {
    for (const key of [...this.#recorded.keys()]) this.#forget(key);
    if (this.#sampling) this.#backend.release(this.#sampling);
    this.#forward.free();
    this.#buffers.free();
  }
}

function counts(members: readonly BatchMember[], vocabulary: number): Int32Array {
  const table = new Int32Array(members.length * vocabulary);
  members.forEach(({ history, sampling }, sequence) => {
    if (sampling.repetitionPenalty !== 1) for (const id of history ?? []) table[sequence * vocabulary + id]!++;
  });
  return table;
}
