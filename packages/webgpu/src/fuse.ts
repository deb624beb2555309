import type { Slice } from "@ziggurat/tensor";
import { FusedKernel, type Runnable, WebGpuKernel } from "./kernel.js";
import { joinedLinear } from "./kernels/linear.js";
import ropeAppend from "./kernels/rope-append.wgsl";
import type { Given } from "./resolver.js";
import { bind, type Full, type Stage, type Traits } from "./stage.js";

/** A dispatch of a recorded program, before it is bound. */
export interface Call {
  readonly kernel: Runnable;
  readonly operands: Given;
}

/**
 * Fuses neighbouring dispatches of a program, because their number limits the speed of a decode step. Every operand
 * that the dispatches write is still written.
 */
export function fuse(calls: readonly Call[], traits: Traits): readonly Call[] {
  const fused: Call[] = [];
  for (let at = 0; at < calls.length; at++) {
    const call = calls[at]!;
    const last = fused.at(-1);
    const both = last && (advances(last, call, traits) ?? ropeAndAppend(last, call));
    if (both) {
      fused[fused.length - 1] = both;
      continue;
    }
    const joined = productOf(calls.slice(at, at + 3), traits) ?? productOf(calls.slice(at, at + 2), traits);
    fused.push(joined?.call ?? call);
    if (joined) at += joined.count - 1;
  }
  return fused;
}

const specOf = <N extends "advance" | "rope" | "append" | "rmsNorm" | "linear" | "gatedActivation">(
  { kernel }: Call,
  op: N,
): Full<N> | undefined => (kernel instanceof WebGpuKernel && kernel.op === op ? (kernel.spec as Full<N>) : undefined);

const same = (a: Slice | undefined, b: Slice | undefined) =>
  a !== undefined && a.buffer === b?.buffer && a.offset === b?.offset;

/** Fuses two `advance` of neighbouring counters of the same sequences by the same number. */
function advances(a: Call, b: Call, traits: Traits): Call | undefined {
  const [first, second] = [specOf(a, "advance"), specOf(b, "advance")];
  if (
    !first ||
    !second ||
    first.by !== second.by ||
    first.sequences !== second.sequences ||
    first.width !== second.width
  )
    return undefined;
  const [one, other] = [a.operands.counter!, b.operands.counter!];
  if (!same(a.operands.ended, b.operands.ended) || one.buffer !== other.buffer) return undefined;
  if (one.offset + 4 * first.repeat * first.sequences * first.width !== other.offset) return undefined;
  return {
    kernel: new WebGpuKernel("advance", { ...first, repeat: first.repeat + second.repeat }, traits),
    operands: a.operands,
  };
}

/** Fuses `rope` and `append` of one new token a sequence. */
function ropeAndAppend(a: Call, b: Call): Call | undefined {
  const [rope, append] = [specOf(a, "rope"), specOf(b, "append")];
  if (!rope || !append || rope.tokens !== 1 || append.tokens !== 1 || rope.sequences !== append.sequences)
    return undefined;
  if (!same(a.operands.qkv, b.operands.qkv) || !rope.keys || !append.keys || !append.values || !append.cells)
    return undefined;
  if (rope.rotary !== rope.headSize || rope.headSize % 4 !== 0) return undefined;
  const { sequences, queryHeads, kvHeads, headSize, tableRows } = rope;
  const { arenaRows, planes, kv, ranks } = append;
  const items = (sequences * (queryHeads + 2 * kvHeads) * headSize) / 4;
  const tables = { offset: "u32", length: "u32", seen: "u32", ended: "u32" };
  const stage: Stage = {
    text: ropeAppend,
    settings: { KV: kv, RANKS: ranks },
    bound: {
      ...bind("append", append, { keys: "u32", values: "u32", cells: "u32", ...tables }),
      ...bind("rope", rope, { qkv: "f32", table: "f32", base: "u32" }),
    },
    uniforms: {
      ...{ sequences, query_heads: queryHeads, kv_heads: kvHeads, head_size: headSize, table_rows: tableRows },
      ...{ arena_rows: arenaRows, planes },
    },
    grid: [Math.ceil(items / 64), 1, 1],
    work: 48 * items,
  };
  const needs = new Map([...a.kernel.needs, ...b.kernel.needs]);
  return { kernel: new FusedKernel("rope, append", needs, [stage]), operands: { ...a.operands, ...b.operands } };
}

/** Fuses `calls` if they are a product of few rows with the norm before it, the activation after it, or both. */
function productOf(calls: readonly Call[], traits: Traits): { call: Call; count: number } | undefined {
  const before = calls[0] && specOf(calls[0], "rmsNorm");
  const product = calls[before ? 1 : 0];
  const linear = product && specOf(product, "linear");
  const after = calls[before ? 2 : 1];
  const activation = after && specOf(after, "gatedActivation");
  if (!product || !linear || calls.length !== 1 + (before ? 1 : 0) + (activation ? 1 : 0) || calls.length === 1)
    return undefined;
  const needs = new Map(product.kernel.needs);
  const operands: Record<string, Slice | undefined> = { ...product.operands };
  if (before) {
    const { x, weight, out } = calls[0]!.operands;
    if (before.rows !== linear.rows || before.width !== linear.width || !same(out, product.operands.x))
      return undefined;
    Object.assign(operands, { x, norm: weight, normed: out });
    needs.set("norm", calls[0]!.kernel.needs.get("weight")!).set("normed", calls[0]!.kernel.needs.get("out")!);
  }
  if (activation) {
    if (
      activation.rows !== linear.rows ||
      2 * activation.width !== linear.out ||
      !same(after.operands.x, product.operands.out)
    )
      return undefined;
    operands.gated = after.operands.out;
    needs.set("gated", after.kernel.needs.get("out")!);
  }
  const slices = Object.values(operands).filter((slice) => slice !== undefined);
  // Operands that are written must be in different buffers.
  const written = [operands.out, operands.normed, operands.gated].filter((slice) => slice !== undefined);
  if (
    slices.some(
      (slice) => slice.offset % 16 !== 0 || written.some((other) => other !== slice && other.buffer === slice.buffer),
    )
  )
    return undefined;
  const joined = { ...(before ? { epsilon: before.epsilon } : {}), ...(activation ? { kind: activation.kind } : {}) };
  const stages = joinedLinear(linear, joined, traits);
  if (!stages) return undefined;
  const op = calls.map(({ kernel }) => kernel.op).join(", ");
  return { call: { kernel: new FusedKernel(op, needs, stages), operands }, count: calls.length };
}
