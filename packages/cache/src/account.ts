import { checkPolicy, type LayerShape, layerBudgets, type Policy } from "@ziggurat/policy";
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
  readonly #layers: readonly LayerAccount[];
  /** The layers that the policy rules. */
  readonly #ruled: readonly LayerShape[];

  private constructor(
    shape: CacheShape,
    policy: Policy,
    ruled: readonly LayerShape[],
    layers: readonly LayerAccount[],
    counts: { readonly seen: number; readonly evicted: number; readonly chosenAt: number },
  ) {
    this.shape = shape;
    this.policy = policy;
    this.#ruled = ruled;
    this.#layers = layers;
    this.seen = counts.seen;
    this.evicted = counts.evicted;
    this.chosenAt = counts.chosenAt;
  }

  /** The account of a sequence that has read nothing. Throws a `PolicyError` if `policy` is not a policy. */
  static empty(shape: CacheShape, policy: Policy): Account {
    checkPolicy(policy);
    const { kvHeads, headSize } = shape;
    const ruled = shape.layers.flatMap(({ kind }, layer) =>
      kind === "global" ? [Object.freeze({ layer, kvHeads, headSize })] : [],
    );
    const nothing = { evicted: new Array<number>(kvHeads).fill(0), leastEvicted: 0, compressedAt: 0 };
    const layers = shape.layers.map(() => nothing);
    return new Account(shape, policy, Object.freeze(ruled), layers, { seen: 0, evicted: 0, chosenAt: 0 });
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
   * The account after `tokens` more tokens: the schedule decides for each layer whether it is compressed, the budget how
   * many rows its heads keep. Throws a `PolicyError` if the policy's numbers are not valid.
   */
  feed(tokens: number, phase: "prefill" | "decode"): { readonly account: Account; readonly keep: Keep } {
    const { policy, shape } = this;
    const seen = this.seen + tokens;
    const protectedRows = policy.protect.count(seen);
    const budgets = layerBudgets(policy, { layers: this.#ruled, seen, protectedRows });
    const keep = new Array<readonly number[] | undefined>(shape.layers.length).fill(undefined);
    let { evicted, chosenAt } = this;
    let layers: LayerAccount[] | undefined;
    let ruled = 0;
    for (const [layer, one] of shape.layers.entries()) {
      const before = this.#layers[layer]!;
      const budget = one.kind === "global" ? budgets[ruled++]! : slidingRows(shape, one.window);
      const excess = excessOf(before.evicted, budget, seen);
      if (one.kind === "global") {
        const rows = seen - before.leastEvicted;
        const sinceCompressed = seen - before.compressedAt;
        if (!policy.schedule({ phase, layer, seen, rows, excess, sinceCompressed })) continue;
      } else if (excess === 0) continue;
      layers ??= [...this.#layers];
      if (excess === 0) {
        layers[layer] = { ...before, compressedAt: seen };
        continue;
      }
      const kept = before.evicted.map((gone, head) => Math.min(seen - gone, budget[head]!));
      const after = kept.map((rows) => seen - rows);
      evicted += after.reduce((sum, gone, head) => sum + gone - before.evicted[head]!, 0);
      chosenAt = seen;
      layers[layer] = { evicted: after, leastEvicted: Math.min(...after), compressedAt: seen };
      keep[layer] = kept;
    }
    const counts = { seen, evicted, chosenAt };
    return { account: new Account(shape, policy, this.#ruled, layers ?? this.#layers, counts), keep };
  }
}

/** The most rows by which a head exceeds its budget; 0 if none does. */
function excessOf(evicted: readonly number[], budget: readonly number[], seen: number): number {
  let excess = 0;
  for (let head = 0; head < evicted.length; head++) excess = Math.max(excess, seen - evicted[head]! - budget[head]!);
  return excess;
}

/** A query of a sliding layer sees `window` rows, its own among them, so `window` - 1 rows stay for the next query. */
const slidingRows = ({ kvHeads }: CacheShape, window: number): readonly number[] =>
  new Array<number>(kvHeads).fill(Math.max(1, window - 1));
