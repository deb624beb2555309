import {
  Cache,
  CacheError,
  type CacheShape,
  DecodeStep,
  type DecodeStepOptions,
  type OwnedRopeTable,
  Prefill,
  planTurn,
  ropeTable,
  rotaryFrequencies,
  stepPattern,
} from "@ziggurat/cache";
import type { Policy } from "@ziggurat/policy";
import { type Backend, Buffers, type RowDType, type Slice } from "@ziggurat/tensor";
import { gramOf } from "./gram.js";

/**
 * One layer's raw tensors, row-major: q [queryHeads, tokens, headSize], k and v [kvHeads, tokens, headSize]; for a
 * decode step tokens is 1.
 */
export interface RawLayer {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
}

/** A message and the decode steps after it. */
export interface PolicyTurn {
  /** The message, per layer. Left out for a turn that goes on decoding after the last one. */
  readonly layers?: readonly RawLayer[];
  /** Decode steps: per step, per layer. */
  readonly steps?: readonly (readonly RawLayer[])[];
}

export interface RunPolicyOptions {
  readonly policy: Policy;
  readonly backend: Backend;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** The prompt, per layer. Rotated, unless `ropeTheta` is given. */
  readonly layers: readonly RawLayer[];
  /** Decode steps after the prompt: per step, per layer. */
  readonly steps?: readonly (readonly RawLayer[])[];
  /** What follows: more messages and more steps. Messages without steps between them are chunks of one text. */
  readonly turns?: readonly PolicyTurn[];
  /** Goes on in a copy of the cache at every turn, as a forked session does. Default false. */
  readonly fork?: boolean;
  /**
   * Rotates q and k here, by position in the text or by slot as the policy says. Policies with slot positions need it.
   */
  readonly ropeTheta?: number;
  /**
   * The output projection, per layer, row-major [queryHeads, headSize, hidden]: what a query head's output is
   * multiplied with. Policies that use `through` need it.
   */
  readonly output?: readonly Float32Array[];
  /** What the cache stores rows in. Default f32. */
  readonly dtype?: RowDType;
  /** Tokens of a message that are attended at once. Default 64. */
  readonly tile?: number;
  /**
   * Records each kind of step once and replays it, as generation does. Default false: every step is prepared and
   * dispatched anew.
   */
  readonly replay?: boolean;
}

/** What a policy kept after a message or a step, and the attention before that. */
export interface PolicyOutcome {
  /** Positions in the text of the rows that are kept, ascending, [layer][KV head]. */
  readonly kept: readonly (readonly (readonly number[])[])[];
  /** Attention per layer, [queryHeads, tokens, headSize]; computed before anything is evicted. */
  readonly outputs: readonly Float32Array[];
}

export interface PolicyTurnResult {
  /** After the message; undefined for a turn without one. */
  readonly prefill: PolicyOutcome | undefined;
  readonly steps: readonly PolicyOutcome[];
}

export interface RunPolicyResult {
  readonly prefill: PolicyOutcome;
  readonly steps: readonly PolicyOutcome[];
  readonly turns: readonly PolicyTurnResult[];
}

/** Tokens in a layer's raw tensors. */
const tokensOf = (raw: RawLayer | undefined, { queryHeads, headSize }: RunPolicyOptions): number =>
  (raw?.q.length ?? 0) / (queryHeads * headSize);

/** Throws a `CacheError` unless the tensors of every turn have the sizes that the options say. */
function checkTurns(options: RunPolicyOptions, turns: readonly PolicyTurn[]): void {
  const { policy, queryHeads, headSize, layers, ropeTheta, tile = 64 } = options;
  for (const turn of turns) {
    const tokens = tokensOf(turn.layers?.[0], options);
    if (turn.layers && (!Number.isSafeInteger(tokens) || tokens < 1))
      throw new CacheError(
        `q of layer 0 has ${turn.layers[0]?.q.length ?? 0} numbers; it must be [${queryHeads}, tokens, ${headSize}]`,
      );
    if (turn.layers && turn.layers.length !== layers.length)
      throw new CacheError(`a message has ${turn.layers.length} layers; the prompt has ${layers.length}`);
    const { steps = [] } = turn;
    const odd = steps.findIndex((raws) => raws.length !== layers.length);
    if (odd >= 0) throw new CacheError(`step ${odd} has ${steps[odd]!.length} layers; the prompt has ${layers.length}`);
  }
  if (policy.positions === "slot" && ropeTheta === undefined)
    throw new CacheError(`${policy.name}: slot positions need unrotated rows; give q and k unrotated, and ropeTheta`);
  if (!Number.isSafeInteger(tile) || tile < 1)
    throw new CacheError(`tile is ${String(tile)}; it must be a whole number of tokens, at least 1`);
}

/**
 * Feeds raw tensors through the real cache, so that a policy can be held against another implementation of it. Rejects
 * with a `CacheError` for tensors of the wrong size, with a `PolicyError` if the policy is at fault.
 */
export async function runPolicy(options: RunPolicyOptions): Promise<RunPolicyResult> {
  const { policy, backend, queryHeads, kvHeads, headSize, layers, steps = [], turns = [], ropeTheta } = options;
  const { fork = false, dtype = "f32" } = options;
  const all: PolicyTurn[] = [{ layers, steps }, ...turns];
  checkTurns(options, all);
  const shape: CacheShape = {
    layers: layers.map(() => ({ kind: "global" })),
    queryHeads,
    kvHeads,
    headSize,
    scale: 1 / Math.sqrt(headSize),
    softcap: 0,
  };
  const buffers = new Buffers(backend);
  let table: OwnedRopeTable | undefined;
  const rope = () => table;
  const gram = async (layer: number): Promise<Slice> => {
    const output = options.output?.[layer];
    if (!output) throw new CacheError(`${policy.name}: \`through\` needs the output projection of layer ${layer}`);
    const slice = buffers.allocate(4 * queryHeads * headSize * headSize, "workspace");
    backend.write(slice, gramOf(output, queryHeads, headSize));
    return slice;
  };
  const newCache = () => new Cache({ backend, shape, dtype, policies: [policy] });
  let cache = newCache();
  try {
    const lengths = all.map((turn) => tokensOf(turn.layers?.[0], options));
    const read = all.reduce((sum, turn, index) => sum + lengths[index]! + (turn.steps?.length ?? 0), 0);
    if (ropeTheta !== undefined) table = ropeTable(backend, rotaryFrequencies(ropeTheta, headSize), read);
    const most = Math.max(...lengths);
    const workspace = {
      qkv: buffers.allocate(4 * most * (queryHeads + 2 * kvHeads) * headSize, "workspace"),
      out: buffers.allocate(4 * most * queryHeads * headSize, "workspace"),
      model: { rope, gram },
    };
    const results: PolicyTurnResult[] = [];
    for (const [index, turn] of all.entries()) {
      if (fork && index > 0) {
        const copy = newCache();
        const old = cache;
        cache = copy;
        try {
          await copy.copyFrom(old);
        } finally {
          old.free();
        }
      }
      results.push(await runTurn(options, cache, turn, workspace));
    }
    const [first, ...more] = results;
    return { prefill: first!.prefill!, steps: first!.steps, turns: more };
  } finally {
    buffers.free();
    table?.free();
    cache.free();
  }
}

interface Workspace {
  readonly qkv: Slice;
  readonly out: Slice;
  readonly model: Pick<DecodeStepOptions, "rope" | "gram">;
}

async function runTurn(
  options: RunPolicyOptions,
  cache: Cache,
  turn: PolicyTurn,
  workspace: Workspace,
): Promise<PolicyTurnResult> {
  const { layers, steps = [] } = turn;
  cache.reserve([planTurn(cache.account(0), layers ? [tokensOf(layers[0], options)] : [], steps.length)]);
  const prefill = layers && (await readMessage(options, cache, layers, workspace));
  if (!layers) await cache.grow();
  return { prefill, steps: await decode(options, cache, steps, workspace) };
}

async function readMessage(
  options: RunPolicyOptions,
  cache: Cache,
  layers: readonly RawLayer[],
  { qkv, out, model }: Workspace,
): Promise<PolicyOutcome> {
  const { backend, queryHeads, kvHeads, headSize, tile = 64 } = options;
  const tokens = tokensOf(layers[0], options);
  const width = (queryHeads + 2 * kvHeads) * headSize;
  const prefill = await Prefill.prepare([{ cache, sequence: 0 }], tokens, tile, model);
  try {
    const outputs: Float32Array[] = [];
    for (const [layer, raw] of layers.entries()) {
      backend.write(qkv, interleave(raw, layer, tokens, options));
      await prefill.begin(layer);
      for (const one of prefill.tiles) {
        const at = (slice: Slice, row: number): Slice => ({ buffer: slice.buffer, offset: 4 * one.first * row });
        prefill.attend(layer, one, at(qkv, width), at(out, queryHeads * headSize));
      }
      await prefill.finish(layer, 0);
      const numbers = await readFloats(backend, out, tokens * queryHeads * headSize);
      outputs.push(headsFirst(numbers, tokens, queryHeads, headSize));
    }
    prefill.commit();
    return { kept: await cache.kept(0), outputs };
  } finally {
    prefill.free();
  }
}

async function decode(
  options: RunPolicyOptions,
  cache: Cache,
  steps: readonly (readonly RawLayer[])[],
  { qkv, out, model }: Workspace,
): Promise<PolicyOutcome[]> {
  const { backend, queryHeads, headSize, replay = false } = options;
  const prepared = new Map<string, Runnable>();
  const outcomes: PolicyOutcome[] = [];
  try {
    for (const [index, raws] of steps.entries()) {
      const keeps = cache.feed([0]);
      const pattern = stepPattern(cache, keeps);
      // Without `replay`, a fresh step asks the policy anew.
      const key = replay ? JSON.stringify(pattern) : `step ${index}`;
      const step =
        prepared.get(key) ??
        runnable(await DecodeStep.prepare(cache, { pattern, qkv, out, ...model }), backend, raws.length, replay);
      prepared.set(key, step);
      cache.setKeep(keeps);
      const outputs: Float32Array[] = [];
      for (const [layer, raw] of raws.entries()) {
        backend.write(qkv, interleave(raw, layer, 1, options));
        step.attend(layer);
        outputs.push(await readFloats(backend, out, queryHeads * headSize));
      }
      step.end();
      outcomes.push({ kept: await cache.kept(0), outputs });
    }
    return outcomes;
  } finally {
    for (const step of prepared.values()) step.free();
  }
}

interface Runnable {
  attend(layer: number): void;
  end(): void;
  free(): void;
}

/** A step that is dispatched each time, or recorded layer by layer. */
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
