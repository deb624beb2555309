import { checkPolicy, layerBudgets, type Policy } from "@ziggurat/policy";
import type { CacheShape } from "./shape.js";

/** Rows that each KV head of a layer keeps, where the layer was compressed; undefined where it was left alone. */
export type Firings = readonly (readonly number[] | undefined)[];

/**
 * How many rows a sequence holds, by arithmetic alone: budgets and schedules are pure, so the host knows every length
 * without asking the device, and can look ahead to size memory.
 */
export class Progress {
  readonly shape: CacheShape;
  readonly policy: Policy;
  /** Tokens read. */
  seen = 0;
  /** Rows held, [layer][KV head]. */
  readonly rows: number[][];
  /** Tokens read since each layer was last compressed. */
  readonly since: number[];
  /** Rows evicted so far, over all layers and heads. */
  evicted = 0;
  /** Tokens that had been read when rows were last chosen; 0 while nothing was evicted. */
  chosenAt = 0;

  /** Throws a `PolicyError` where `policy` is none. */
  constructor(shape: CacheShape, policy: Policy) {
    checkPolicy(policy);
    this.shape = shape;
    this.policy = policy;
    this.rows = shape.layers.map(() => new Array<number>(shape.kvHeads).fill(0));
    this.since = shape.layers.map(() => 0);
  }

  clone(): Progress {
    const copy = new Progress(this.shape, this.policy);
    copy.assign(this);
    return copy;
  }

  assign(from: Progress): void {
    this.seen = from.seen;
    this.evicted = from.evicted;
    this.chosenAt = from.chosenAt;
    from.rows.forEach((heads, layer) => void this.rows[layer]!.splice(0, heads.length, ...heads));
    this.since.splice(0, this.since.length, ...from.since);
  }

  /** Rows over all layers and KV heads. */
  get total(): number {
    return this.rows.reduce((sum, heads) => heads.reduce((a, b) => a + b, sum), 0);
  }

  /** The most rows that one KV head of any layer holds. */
  get most(): number {
    return this.rows.reduce((most, heads) => heads.reduce((a, b) => Math.max(a, b), most), 0);
  }

  /**
   * Reads `tokens` more, then compresses where the schedule says so. Throws a `PolicyError` where the policy's numbers
   * cannot be.
   */
  feed(tokens: number, phase: "prefill" | "decode"): Firings {
    const { layers } = this.shape;
    this.seen += tokens;
    const { seen, policy } = this;
    const budgets = layerBudgets(policy, { layers, seen, protectedRows: policy.protect.count(seen) });
    return budgets.map((budget, layer) => {
      const held = this.rows[layer]!;
      const sinceCompressed = (this.since[layer]! += tokens);
      const { kind, window = 1 } = layers[layer]!;
      // A query of a sliding layer sees window rows, its own among them, so window - 1 stay for the next.
      const keepOf = (head: number) => (kind === "sliding" ? Math.max(1, window - 1) : budget[head]!);
      let rows = 0;
      let excess = 0;
      for (let head = 0; head < held.length; head++) {
        const now = (held[head]! += tokens);
        rows = Math.max(rows, now);
        excess = Math.max(excess, now - keepOf(head));
      }
      if (kind === "global" && !policy.schedule({ phase, layer, seen, rows, excess, sinceCompressed }))
        return undefined;
      this.since[layer] = 0;
      if (excess === 0) return undefined;
      this.chosenAt = seen;
      return held.map((now, head) => {
        const keep = Math.min(now, keepOf(head));
        this.evicted += now - keep;
        held[head] = keep;
        return keep;
      });
    });
  }
}
