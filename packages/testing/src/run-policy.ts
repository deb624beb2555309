import {
  Cache,
  CacheError,
  type CacheShape,
  DecodeStep,
  type OwnedRopeTable,
  Prefill,
  planTurn,
  ropeTable,
  rotaryFrequencies,
  stepPattern,
} from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import type { Backend, Buffer, RowDType, Slice } from "@ziggurat/tensor";

/**
 * One layer's raw tensors, row-major: q [queryHeads, tokens, headSize], k and v [kvHeads, tokens, headSize]; for a
 * decode step tokens is 1.
 */
export interface RawLayer {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

export interface RunPolicyOptions {
  readonly policy: Policy;
  readonly backend: Backend;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** The prompt, per layer. Rotated, unless `ropeTheta` is given. */
  readonly layers: readonly RawLayer[];
  /** Decode steps: per step, per layer. */
  readonly steps?: readonly (readonly RawLayer[])[];
  /**
   * Rotates q and k here, by position in the text or by slot as the policy says. Policies with slot positions need it.
   */
  readonly ropeTheta?: number;
  /**
   * The output projection, per layer, row-major [queryHeads, headSize, hidden]: what a query head's output is multiplied
   * with. Policies that use `through` need it.
   */
  readonly output?: readonly Float32Array[];
  /** What the cache stores rows in. Default f32. */
  readonly dtype?: RowDType;
  /** Tokens of the prompt that are attended at once. Default 64. */
  readonly tile?: number;
  /**
   * Records each kind of step once and replays it, as generation does. Default false: every step is prepared and
   * dispatched anew.
   */
  readonly replay?: boolean;
}

/** What a policy held and gave after the prompt or a step. */
export interface PolicyOutcome {
  /** Positions in the text of the rows that are kept, ascending, [layer][KV head]. */
  readonly kept: readonly (readonly (readonly number[])[])[];
  /** Attention per layer, [queryHeads, tokens or 1, headSize]; computed before anything is evicted. */
  readonly outputs: readonly Float32Array[];
}

export interface RunPolicyResult {
  readonly prefill: PolicyOutcome;
  readonly steps: readonly PolicyOutcome[];
}

/**
 * Feeds raw tensors through the real cache, so that a policy can be held against another implementation of it. Throws a
 * `CacheError` for tensors of the wrong size and whatever the policy throws.
 */
export async function runPolicy(options: RunPolicyOptions): Promise<RunPolicyResult> {
  const {
    policy,
    backend,
    queryHeads,
    kvHeads,
    headSize,
    layers,
    steps = [],
    ropeTheta,
    dtype = "f32",
    tile = 64,
    replay = false,
  } = options;
  const tokens = (layers[0]?.q.length ?? 0) / (queryHeads * headSize);
  if (!Number.isSafeInteger(tokens) || tokens < 1)
    throw new CacheError(
      `q of layer 0 has ${layers[0]?.q.length ?? 0} numbers; it must be [${queryHeads}, tokens, ${headSize}]`,
    );
  if (policy.positions === "slot" && ropeTheta === undefined) {
    throw new CacheError(`${policy.name}: slot positions need unrotated rows; give q and k unrotated, and ropeTheta`);
  }
  const odd = steps.findIndex((raws) => raws.length !== layers.length);
  if (odd >= 0) throw new CacheError(`step ${odd} has ${steps[odd]!.length} layers; the prompt has ${layers.length}`);
  if (!Number.isSafeInteger(tile) || tile < 1)
    throw new CacheError(`tile is ${String(tile)}; it must be a whole number of tokens, at least 1`);
  const shape: CacheShape = {
    layers: layers.map(() => ({ kind: "global" })),
    queryHeads,
    kvHeads,
    headSize,
    scale: 1 / Math.sqrt(headSize),
    softcap: 0,
  };
  let table: OwnedRopeTable | undefined;
  const rope = () => table;
  const gram = async (layer: number): Promise<Slice> => {
    const output = options.output?.[layer];
    if (!output) throw new CacheError(`${policy.name}: \`through\` needs the output projection of layer ${layer}`);
    const slice = allocate(queryHeads * headSize * headSize);
    backend.write(slice, gramOf(output, queryHeads, headSize));
    return slice;
  };
  const cache = new Cache({ backend, shape, dtype, policies: [policy] });
  const buffers: Buffer[] = [];
  const allocate = (words: number): Slice => {
    buffers.push(backend.allocate(4 * words, "workspace"));
    return { buffer: buffers.at(-1)!, offset: 0 };
  };
  let prefill: Prefill | undefined;
  const prepared = new Map<string, Runnable>();
  try {
    const plan = planTurn(cache.account(0), [tokens], steps.length);
    cache.reserve([plan]);
    if (ropeTheta !== undefined) table = ropeTable(backend, rotaryFrequencies(ropeTheta, headSize), plan.positions);
    const width = (queryHeads + 2 * kvHeads) * headSize;
    const qkv = allocate(tokens * width);
    const out = allocate(tokens * queryHeads * headSize);

    prefill = await Prefill.prepare([{ cache, sequence: 0 }], tokens, tile, { rope, gram });
    const outputs: Float32Array[] = [];
    for (const [layer, raw] of layers.entries()) {
      backend.write(qkv, interleave(raw, layer, tokens, options));
      await prefill.begin(layer);
      for (const one of prefill.tiles) {
        const at = (slice: Slice, row: number): Slice => ({ buffer: slice.buffer, offset: 4 * one.first * row });
        prefill.attend(layer, one, at(qkv, width), at(out, queryHeads * headSize));
      }
      await prefill.finish(layer, 0);
      outputs.push(
        headsFirst(await readFloats(backend, out, tokens * queryHeads * headSize), tokens, queryHeads, headSize),
      );
    }
    prefill.commit();
    const result = { prefill: { kept: await cache.kept(0), outputs }, steps: [] as PolicyOutcome[] };

    for (const [index, raws] of steps.entries()) {
      const keeps = cache.feed([0]);
      const pattern = stepPattern(cache, keeps);
      // A fresh step asks the policy anew.
      const key = replay ? JSON.stringify(pattern) : `step ${index}`;
      const step =
        prepared.get(key) ??
        runnable(await DecodeStep.prepare(cache, { pattern, qkv, out, rope, gram }), backend, layers.length, replay);
      prepared.set(key, step);
      cache.setKeep(keeps);
      const stepOutputs: Float32Array[] = [];
      for (const [layer, raw] of raws.entries()) {
        backend.write(qkv, interleave(raw, layer, 1, options));
        step.attend(layer);
        stepOutputs.push(await readFloats(backend, out, queryHeads * headSize));
      }
      step.end();
      result.steps.push({ kept: await cache.kept(0), outputs: stepOutputs });
    }
    return result;
  } finally {
    for (const step of prepared.values()) step.free();
    prefill?.free();
    for (const buffer of buffers) backend.free(buffer);
    table?.free();
    cache.free();
  }
}

interface Runnable {
  attend(layer: number): void;
  end(): void;
  free(): void;
}

/** A step as it is, or recorded layer by layer. */
function runnable(step: DecodeStep, backend: Backend, layers: number, replay: boolean): Runnable {
  if (!replay) return step;
  const programs = Array.from({ length: layers }, (_, layer) => backend.record(() => step.attend(layer)));
  const end = backend.record(() => step.end());
  return {
    attend: (layer) => backend.replay(programs[layer]!),
    end: () => backend.replay(end),
    free() {
      for (const program of [...programs, end]) backend.release(program);
      step.free();
    },
  };
}

async function readFloats(backend: Backend, slice: Slice, count: number): Promise<Float32Array> {
  return new Float32Array((await backend.read(slice, 4 * count)).buffer);
}

/** The Gram matrix of each query head's part of an output projection, [queryHeads, headSize, headSize]. */
export function gramOf(output: Float32Array, queryHeads: number, headSize: number): Float32Array {
  const hidden = output.length / (queryHeads * headSize);
  const grams = new Float32Array(queryHeads * headSize * headSize);
  for (let head = 0; head < queryHeads; head++) {
    const row = (d: number) => output.subarray((head * headSize + d) * hidden, (head * headSize + d + 1) * hidden);
    for (let a = 0; a < headSize; a++) {
      for (let b = 0; b < headSize; b++) {
        const [x, y] = [row(a), row(b)];
        grams[(head * headSize + a) * headSize + b] = x.reduce((sum, value, i) => sum + value * y[i]!, 0);
      }
    }
  }
  return grams;
}

/** Heads-first q, k, v as token-first qkv rows. */
function interleave(
  { q, k, v }: RawLayer,
  layer: number,
  tokens: number,
  { queryHeads, kvHeads, headSize }: RunPolicyOptions,
): Float32Array {
  const width = (queryHeads + 2 * kvHeads) * headSize;
  const rows = new Float32Array(tokens * width);
  let start = 0;
  for (const [name, part, heads] of [
    ["q", q, queryHeads],
    ["k", k, kvHeads],
    ["v", v, kvHeads],
  ] as const) {
    if (part.length !== heads * tokens * headSize) {
      throw new CacheError(
        `${name} of layer ${layer} has ${part.length} numbers; it must be [${heads}, ${tokens}, ${headSize}]`,
      );
    }
    for (let head = 0; head < heads; head++) {
      for (let token = 0; token < tokens; token++) {
        const from = (head * tokens + token) * headSize;
        rows.set(part.subarray(from, from + headSize), token * width + start + head * headSize);
      }
    }
    start += heads * headSize;
  }
  return rows;
}

/** [tokens, heads, size] as [heads, tokens, size]. */
function headsFirst(rows: Float32Array, tokens: number, heads: number, size: number): Float32Array {
  const out = new Float32Array(rows.length);
  for (let token = 0; token < tokens; token++) {
    for (let head = 0; head < heads; head++) {
      out.set(
        rows.subarray((token * heads + head) * size, (token * heads + head + 1) * size),
        (head * tokens + token) * size,
      );
    }
  }
  return out;
}
