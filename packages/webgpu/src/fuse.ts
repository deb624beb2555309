import type { Slice } from "@ziggurat/tensor";
import { FusedKernel, type Runnable, WebGpuKernel } from "./kernel.js";
import { normLinear } from "./kernels/linear.js";
import ropeAppend from "./kernels/rope-append.wgsl";
import type { Given } from "./resolver.js";
import { bind, type Full, type Stage, type Traits } from "./stage.js";

/** A dispatch of a recorded program, before it is bound. */
export interface Call {
  readonly kernel: Runnable;
  readonly operands: Given;
}

/** Joins neighbouring dispatches of a program where one does the same, every operand that was written still being written: a decode step is bound by their number. */
export function fuse(calls: readonly Call[], traits: Traits): readonly Call[] {
  const fused: Call[] = [];
  for (const call of calls) {
    const last = fused.at(-1);
    const both = last && (advances(last, call, traits) ?? ropeAndAppend(last, call) ?? normAndLinear(last, call, traits));
    if (both) fused[fused.length - 1] = both;
    else fused.push(call);
  }
  return fused;
}

const specOf = <N extends "advance" | "rope" | "append" | "rmsNorm" | "linear">({ kernel }: Call, op: N): Full<N> | undefined =>
  kernel instanceof WebGpuKernel && kernel.op === op ? (kernel.spec as Full<N>) : undefined;

const same = (a: Slice | undefined, b: Slice | undefined) => a !== undefined && a.buffer === b?.buffer && a.offset === b?.offset;

/** Counters that follow one another, of the same sequences, by the same number. */
function advances(a: Call, b: Call, traits: Traits): Call | undefined {
  const [first, second] = [specOf(a, "advance"), specOf(b, "advance")];
  if (!first || !second || first.by !== second.by || first.sequences !== second.sequences || first.width !== second.width) return undefined;
  const [one, other] = [a.operands.counter!, b.operands.counter!];
  if (!same(a.operands.ended, b.operands.ended) || one.buffer !== other.buffer) return undefined;
  if (one.offset + 4 * first.repeat * first.sequences * first.width !== other.offset) return undefined;
  return { kernel: new WebGpuKernel("advance", { ...first, repeat: first.repeat + second.repeat }, traits), operands: a.operands };
}

/** One new token a sequence, turned and put behind its last row. */
function ropeAndAppend(a: Call, b: Call): Call | undefined {
  const [rope, append] = [specOf(a, "rope"), specOf(b, "append")];
  if (!rope || !append || rope.tokens !== 1 || append.tokens !== 1 || rope.sequences !== append.sequences) return undefined;
  if (!same(a.operands.qkv, b.operands.qkv) || !rope.keys || !append.keys || !append.values || !append.cells) return undefined;
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

/** A norm, and a product of few rows of what it makes. */
function normAndLinear(a: Call, b: Call, traits: Traits): Call | undefined {
  const [norm, linear] = [specOf(a, "rmsNorm"), specOf(b, "linear")];
  if (!norm || !linear || norm.rows !== linear.rows || norm.width !== linear.width || !same(a.operands.out, b.operands.x)) return undefined;
  const { x, weight, out } = a.operands;
  const operands = { ...b.operands, x, norm: weight, normed: out };
  const written = [out!.buffer, b.operands.out!.buffer];
  const apart =
    new Set(written).size === 2 && ![x, weight, b.operands.weight, b.operands.bias].some((slice) => slice && written.includes(slice.buffer));
  const stages = apart && Object.values(operands).every((slice) => slice!.offset % 16 === 0) && normLinear(linear, norm.epsilon, traits);
  if (!stages) return undefined;
  const needs = new Map([...b.kernel.needs, ["norm", a.kernel.needs.get("weight")!], ["normed", a.kernel.needs.get("out")!]]);
  return { kernel: new FusedKernel("rmsNorm, linear", needs, stages), operands };
}
