import { freezePolicy, type LayerShape, layerBudgets, type Policy, PolicyError, type Step } from "@ziggurat/policy";
import type { CacheShape } from "./shape.js";

/** Rows that each KV head keeps, for each layer that is compressed in a step; undefined for the other layers. */
export type Keep = readonly (readonly number[] | undefined)[];

/** One layer of an account. A head holds as many rows as tokens were read, less those evicted. */
interface LayerAccount {
  /** Rows evicted so far, by KV head. */
  readonly evicted: readonly number[];
  /** The least of `evicted`, so of the head that holds most rows. */
  readonly leastEvicted: number;
  /** Tokens that had been read when the layer was last compressed. */
  readonly compressedAt: number;
}

/**
 * How many rows a sequence holds, by arithmetic alone. Budgets and schedules are pure, so the host knows every length
 * without asking the device, and can look ahead to size memory. Immutable: `feed` returns the account that follows, and
 * the two share what did not change.
 */
export class Account {
  readonly shape: CacheShape;
  readonly policy: Policy;
  /** Tokens read. */
  readonly seen: number;
  /** Rows evicted so far, over all layers and heads. */
  readonly evicted: number;
  /** Tokens that had been read when rows were last chosen; 0 if nothing was evicted yet. */
  readonly chosenAt: number;
  /** A hash of all rows evicted so far: equal for accounts that came about in the same way. */
  readonly digest: number;
  readonly #layers: readonly LayerAccount[];
  /** The layers that the policy rules. */
  readonly #ruled: readonly LayerShape[];

  private constructor(
    shape: CacheShape,
    policy: Policy,
    ruled: readonly LayerShape[],
    layers: readonly LayerAccount[],
    counts: Counts,
  ) {
    this.shape = shape;
    this.policy = policy;
    this.#ruled = ruled;
    this.#layers = layers;
    this.seen = counts.seen;
    this.evicted = counts.evicted;
    this.chosenAt = counts.chosenAt;
    this.digest = counts.digest;
  }

  /** The account of a sequence that has read nothing. Throws a `PolicyError` if `policy` is not a policy. */
  static empty(shape: CacheShape, given: Policy): Account {
    const policy = freezePolicy(given);
    const { kvHeads, headSize } = shape;
    const ruled = shape.layers.flatMap(({ kind }, layer) =>
      kind === "global" ? [Object.freeze({ layer, kvHeads, headSize })] : [],
    );
    const nothing = { evicted: new Array<number>(kvHeads).fill(0), leastEvicted: 0, compressedAt: 0 };
    const layers = shape.layers.map(() => nothing);
    return new Account(shape, policy, Object.freeze(ruled), layers, { seen: 0, evicted: 0, chosenAt: 0, digest: 0 });
  }

  /** Rows held by each KV head of a layer. */
  rowsOf(layer: number): number[] {
    return this.#layers[layer]!.evicted.map((evicted) => this.seen - evicted);
  }

  /** Rows held, [layer][KV head]. */
  get rows(): number[][] {
    return this.#layers.map((_, layer) => this.rowsOf(layer));
  }

  /** Rows over all layers and KV heads. */
  get total(): number {
    return this.#layers.length * this.shape.kvHeads * this.seen - this.evicted;
  }

  /** The most rows that one KV head of any layer holds. */
  get most(): number {
    return this.seen - this.#layers.reduce((least, { leastEvicted }) => Math.min(least, leastEvicted), this.seen);
  }

  /** Tokens read since each layer was last compressed. */
  get since(): number[] {
    return this.#layers.map(({ compressedAt }) => this.seen - compressedAt);
  }

  /**
   * The account after `tokens` more tokens: the schedule decides for each layer whether it is compressed, the budget
   * how many rows its heads keep. Throws a `PolicyError` if the policy's numbers are not valid.
   */
  feed(tokens: number, phase: "prefill" | "decode"): { readonly account: Account; readonly keep: Keep } {
    const { policy, shape } = this;
    const seen = this.seen + tokens;
    const protectedRows = protectedBy(policy, seen);
    const budgets = layerBudgets(policy, Object.freeze({ layers: this.#ruled, seen, protectedRows }));
    const keep = new Array<readonly number[] | undefined>(shape.layers.length).fill(undefined);
    let { evicted, chosenAt, digest } = this;
    let layers: LayerAccount[] | undefined;
    let ruled = 0;
    // Layers with equal rows and budgets share what follows from them.
    let last: Compressed | undefined;
    for (let layer = 0; layer < shape.layers.length; layer++) {
      const one = shape.layers[layer]!;
      const before = this.#layers[layer]!;
      const budget = one.kind === "global" ? budgets[ruled++]! : slidingRows(shape, one.window);
      if (last?.before !== before || !equal(last.budget, budget)) last = compressed(before, budget, seen);
      const { excess } = last;
      if (one.kind === "global") {
        const rows = seen - before.leastEvicted;
        const sinceCompressed = seen - before.compressedAt;
        if (!isDue(policy, { phase, layer, seen, rows, excess, sinceCompressed })) continue;
      } else if (excess === 0) continue;
      layers ??= this.#layers.slice();
      layers[layer] = last.after;
      if (excess === 0) continue;
      chosenAt = seen;
      evicted += last.evicted;
      keep[layer] = last.keep;
      digest = (Math.imul(digest ^ last.digest, 0x01000193) + layer) | 0;
    }
    const counts = { seen, evicted, chosenAt, digest };
    return { account: new Account(shape, policy, this.#ruled, layers ?? this.#layers, counts), keep };
  }
}

interface Counts {
  readonly seen: number;
  readonly evicted: number;
  readonly chosenAt: number;
  readonly digest: number;
}

/** The most rows that a protection can hold, checked. */
function protectedBy({ name, protect }: Policy, seen: number): number {
  const count: unknown = protect.count(seen);
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= 0) return count;
  throw new PolicyError(`${name}: protect.count is ${shown(count)}; it must be a whole number of at least 0`);
}

/** Whether a layer is compressed, checked. */
function isDue({ name, schedule }: Policy, step: Step): boolean {
  const due: unknown = schedule(step);
  if (typeof due === "boolean") return due;
  throw new PolicyError(`${name}: the schedule is ${shown(due)} for layer ${step.layer}; it must be true or false`);
}

const shown = (value: unknown): string => {
  if (value instanceof Promise) return "a promise";
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
};

/** A layer compressed to its budget. */
interface Compressed {
  readonly before: LayerAccount;
  readonly budget: readonly number[];
  readonly after: LayerAccount;
  /** Rows that each KV head keeps. */
  readonly keep: readonly number[];
  /** The most rows by which a head exceeds its budget; 0 if none does. */
  readonly excess: number;
  /** Rows evicted, over all heads. */
  readonly evicted: number;
  /** A hash of `keep` and of the tokens read. */
  readonly digest: number;
}

/** What compressing a layer to its budget comes to, once `seen` tokens are read. */
function compressed(before: LayerAccount, budget: readonly number[], seen: number): Compressed {
  const heads = before.evicted.length;
  const keep = new Array<number>(heads);
  const gone = new Array<number>(heads);
  let excess = 0;
  let evicted = 0;
  let leastEvicted = seen;
  // FNV-1a over 32-bit numbers.
  let digest = Math.imul(0x811c9dc5 ^ seen, 0x01000193);
  for (let head = 0; head < heads; head++) {
    const rows = seen - before.evicted[head]!;
    const kept = Math.min(rows, budget[head]!);
    keep[head] = kept;
    digest = Math.imul(digest ^ kept, 0x01000193);
    gone[head] = seen - kept;
    excess = Math.max(excess, rows - kept);
    evicted += rows - kept;
    leastEvicted = Math.min(leastEvicted, seen - kept);
  }
  return { before, budget, after: { evicted: gone, leastEvicted, compressedAt: seen }, keep, excess, evicted, digest };
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/**
 * Gives the rows that stay for the next query, by KV head. A query of a sliding layer sees `window` rows, its own among
 * them. With a window of 1 none stays.
 */
const slidingRows = ({ kvHeads }: CacheShape, window: number): readonly number[] =>
  new Array<number>(kvHeads).fill(window - 1);
