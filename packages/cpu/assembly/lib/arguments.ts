// Made by scripts/arguments.mjs from the catalogue of @ziggurat/tensor: how each kernel reads its arguments. Do not edit.

export enum DType {
  F32,
  F16,
  BF16,
  I32,
  Q8_0,
  Q4_0,
  Q4_1,
}

export enum Op {
  embed,
  rmsNorm,
  linear,
  gatedActivation,
  rope,
  logProbability,
  sample,
  append,
  attention,
  decodeAttention,
  watch,
  advance,
  topk,
  order,
  gather,
  evict,
  load,
  store,
  unary,
  binary,
  where,
  reduce,
  pool,
  hash,
  fill,
  copy,
  zero,
  move,
  inline,
  scratch,
  replay,
}

/** embed */
export namespace Embed {
  // @ts-ignore: decorator
  @inline
  export function tokens(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function vocabulary(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function width(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function weight(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function scale(a: usize): f64 { return load<f64>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function ids(a: usize): usize { return <usize>load<u32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function table(a: usize): usize { return <usize>load<u32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 36); }
}

/** rms-norm */
export namespace RmsNorm {
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function width(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function epsilon(a: usize): f64 { return load<f64>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): usize { return <usize>load<u32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function weight(a: usize): usize { return <usize>load<u32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 28); }
}

/** linear */
export namespace Linear {
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function width(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function weight(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function bias(a: usize): bool { return load<i32>(a, 20) != 0; }
  // @ts-ignore: decorator
  @inline
  export function residual(a: usize): bool { return load<i32>(a, 24) != 0; }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): usize { return <usize>load<u32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function weightAt(a: usize): usize { return <usize>load<u32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function biasAt(a: usize): usize { return <usize>load<u32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function residualAt(a: usize): usize { return <usize>load<u32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function outAt(a: usize): usize { return <usize>load<u32>(a, 44); }
}

/** gated-activation */
export namespace GatedActivation {
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function width(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function kind(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): usize { return <usize>load<u32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 20); }
}

export enum GatedActivationKind {
  silu,
  gelu,
}

/** rope */
export namespace Rope {
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function tokens(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function queryHeads(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function headSize(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function rotary(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function tableRows(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function keys(a: usize): bool { return load<i32>(a, 32) != 0; }
  // @ts-ignore: decorator
  @inline
  export function qkv(a: usize): usize { return <usize>load<u32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function table(a: usize): usize { return <usize>load<u32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function base(a: usize): usize { return <usize>load<u32>(a, 44); }
}

/** log-probability */
export namespace LogProbability {
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function vocabulary(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function logits(a: usize): usize { return <usize>load<u32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function ids(a: usize): usize { return <usize>load<u32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 20); }
}

/** sample */
export namespace Sample {
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function vocabulary(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function ring(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function stopCount(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function history(a: usize): bool { return load<i32>(a, 20) != 0; }
  // @ts-ignore: decorator
  @inline
  export function logits(a: usize): usize { return <usize>load<u32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function params(a: usize): usize { return <usize>load<u32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function seeds(a: usize): usize { return <usize>load<u32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function stops(a: usize): usize { return <usize>load<u32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function historyAt(a: usize): usize { return <usize>load<u32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function steps(a: usize): usize { return <usize>load<u32>(a, 44); }
  // @ts-ignore: decorator
  @inline
  export function ended(a: usize): usize { return <usize>load<u32>(a, 48); }
  // @ts-ignore: decorator
  @inline
  export function tokens(a: usize): usize { return <usize>load<u32>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function ids(a: usize): usize { return <usize>load<u32>(a, 56); }
}

/** append */
export namespace Append {
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function tokens(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function queryHeads(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function headSize(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function planes(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function kv(a: usize): i32 { return load<i32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function keys(a: usize): bool { return load<i32>(a, 36) != 0; }
  // @ts-ignore: decorator
  @inline
  export function values(a: usize): bool { return load<i32>(a, 40) != 0; }
  // @ts-ignore: decorator
  @inline
  export function cells(a: usize): bool { return load<i32>(a, 44) != 0; }
  // @ts-ignore: decorator
  @inline
  export function ranks(a: usize): bool { return load<i32>(a, 48) != 0; }
  // @ts-ignore: decorator
  @inline
  export function qkv(a: usize): usize { return <usize>load<u32>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function keysAt(a: usize): usize { return <usize>load<u32>(a, 56); }
  // @ts-ignore: decorator
  @inline
  export function valuesAt(a: usize): usize { return <usize>load<u32>(a, 60); }
  // @ts-ignore: decorator
  @inline
  export function cellsAt(a: usize): usize { return <usize>load<u32>(a, 64); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 68); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 72); }
  // @ts-ignore: decorator
  @inline
  export function seen(a: usize): usize { return <usize>load<u32>(a, 76); }
  // @ts-ignore: decorator
  @inline
  export function ended(a: usize): usize { return <usize>load<u32>(a, 80); }
}

/** attention */
export namespace Attention {
  // @ts-ignore: decorator
  @inline
  export function tokens(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function queryHeads(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function headSize(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function window(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function kv(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function scale(a: usize): f64 { return load<f64>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function softcap(a: usize): f64 { return load<f64>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function qkv(a: usize): usize { return <usize>load<u32>(a, 48); }
  // @ts-ignore: decorator
  @inline
  export function keys(a: usize): usize { return <usize>load<u32>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function values(a: usize): usize { return <usize>load<u32>(a, 56); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 60); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 64); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 68); }
  // @ts-ignore: decorator
  @inline
  export function lse(a: usize): usize { return <usize>load<u32>(a, 72); }
}

/** decode-attention */
export namespace DecodeAttention {
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function queryHeads(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function headSize(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function planes(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function rotary(a: usize): i32 { return load<i32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function tableRows(a: usize): i32 { return load<i32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function kv(a: usize): i32 { return load<i32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function scale(a: usize): f64 { return load<f64>(a, 44); }
  // @ts-ignore: decorator
  @inline
  export function softcap(a: usize): f64 { return load<f64>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function slot(a: usize): bool { return load<i32>(a, 60) != 0; }
  // @ts-ignore: decorator
  @inline
  export function qkv(a: usize): usize { return <usize>load<u32>(a, 64); }
  // @ts-ignore: decorator
  @inline
  export function keys(a: usize): usize { return <usize>load<u32>(a, 68); }
  // @ts-ignore: decorator
  @inline
  export function values(a: usize): usize { return <usize>load<u32>(a, 72); }
  // @ts-ignore: decorator
  @inline
  export function cells(a: usize): usize { return <usize>load<u32>(a, 76); }
  // @ts-ignore: decorator
  @inline
  export function table(a: usize): usize { return <usize>load<u32>(a, 80); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 84); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 88); }
  // @ts-ignore: decorator
  @inline
  export function ended(a: usize): usize { return <usize>load<u32>(a, 92); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 96); }
  // @ts-ignore: decorator
  @inline
  export function lse(a: usize): usize { return <usize>load<u32>(a, 100); }
}

/** watch */
export namespace Watch {
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function tokens(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function queryHeads(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function headSize(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function from(a: usize): i32 { return load<i32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function planes(a: usize): i32 { return load<i32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function rotary(a: usize): i32 { return load<i32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function tableRows(a: usize): i32 { return load<i32>(a, 44); }
  // @ts-ignore: decorator
  @inline
  export function kv(a: usize): i32 { return load<i32>(a, 48); }
  // @ts-ignore: decorator
  @inline
  export function scale(a: usize): f64 { return load<f64>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function softcap(a: usize): f64 { return load<f64>(a, 60); }
  // @ts-ignore: decorator
  @inline
  export function slot(a: usize): bool { return load<i32>(a, 68) != 0; }
  // @ts-ignore: decorator
  @inline
  export function qkv(a: usize): usize { return <usize>load<u32>(a, 72); }
  // @ts-ignore: decorator
  @inline
  export function keys(a: usize): usize { return <usize>load<u32>(a, 76); }
  // @ts-ignore: decorator
  @inline
  export function cells(a: usize): usize { return <usize>load<u32>(a, 80); }
  // @ts-ignore: decorator
  @inline
  export function table(a: usize): usize { return <usize>load<u32>(a, 84); }
  // @ts-ignore: decorator
  @inline
  export function lse(a: usize): usize { return <usize>load<u32>(a, 88); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 92); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 96); }
  // @ts-ignore: decorator
  @inline
  export function ended(a: usize): usize { return <usize>load<u32>(a, 100); }
  // @ts-ignore: decorator
  @inline
  export function mass(a: usize): usize { return <usize>load<u32>(a, 104); }
}

/** advance */
export namespace Advance {
  // @ts-ignore: decorator
  @inline
  export function repeat(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function width(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function by(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function counter(a: usize): usize { return <usize>load<u32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function ended(a: usize): usize { return <usize>load<u32>(a, 24); }
}

/** topk */
export namespace Topk {
  // @ts-ignore: decorator
  @inline
  export function heads(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function most(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function scores(a: usize): usize { return <usize>load<u32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function positions(a: usize): usize { return <usize>load<u32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function keep(a: usize): usize { return <usize>load<u32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): usize { return <usize>load<u32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function count(a: usize): usize { return <usize>load<u32>(a, 44); }
}

/** order */
export namespace Order {
  // @ts-ignore: decorator
  @inline
  export function heads(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function positions(a: usize): usize { return <usize>load<u32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): usize { return <usize>load<u32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function count(a: usize): usize { return <usize>load<u32>(a, 32); }
}

/** gather */
export namespace Gather {
  // @ts-ignore: decorator
  @inline
  export function heads(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function most(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function headSize(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function targetRows(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function planes(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function rotary(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function tableRows(a: usize): i32 { return load<i32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function kv(a: usize): i32 { return load<i32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function values(a: usize): bool { return load<i32>(a, 40) != 0; }
  // @ts-ignore: decorator
  @inline
  export function ranks(a: usize): bool { return load<i32>(a, 44) != 0; }
  // @ts-ignore: decorator
  @inline
  export function rotate(a: usize): bool { return load<i32>(a, 48) != 0; }
  // @ts-ignore: decorator
  @inline
  export function keys(a: usize): usize { return <usize>load<u32>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function valuesAt(a: usize): usize { return <usize>load<u32>(a, 56); }
  // @ts-ignore: decorator
  @inline
  export function cells(a: usize): usize { return <usize>load<u32>(a, 60); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 64); }
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): usize { return <usize>load<u32>(a, 68); }
  // @ts-ignore: decorator
  @inline
  export function count(a: usize): usize { return <usize>load<u32>(a, 72); }
  // @ts-ignore: decorator
  @inline
  export function table(a: usize): usize { return <usize>load<u32>(a, 76); }
  // @ts-ignore: decorator
  @inline
  export function targetKeys(a: usize): usize { return <usize>load<u32>(a, 80); }
  // @ts-ignore: decorator
  @inline
  export function targetValues(a: usize): usize { return <usize>load<u32>(a, 84); }
  // @ts-ignore: decorator
  @inline
  export function targetCells(a: usize): usize { return <usize>load<u32>(a, 88); }
  // @ts-ignore: decorator
  @inline
  export function targetOffset(a: usize): usize { return <usize>load<u32>(a, 92); }
  // @ts-ignore: decorator
  @inline
  export function targetLength(a: usize): usize { return <usize>load<u32>(a, 96); }
}

/** evict */
export namespace Evict {
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function most(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function headSize(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function planes(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function kv(a: usize): i32 { return load<i32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function ordered(a: usize): bool { return load<i32>(a, 36) != 0; }
  // @ts-ignore: decorator
  @inline
  export function ranks(a: usize): bool { return load<i32>(a, 40) != 0; }
  // @ts-ignore: decorator
  @inline
  export function keys(a: usize): usize { return <usize>load<u32>(a, 44); }
  // @ts-ignore: decorator
  @inline
  export function values(a: usize): usize { return <usize>load<u32>(a, 48); }
  // @ts-ignore: decorator
  @inline
  export function cells(a: usize): usize { return <usize>load<u32>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 56); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 60); }
  // @ts-ignore: decorator
  @inline
  export function rows(a: usize): usize { return <usize>load<u32>(a, 64); }
  // @ts-ignore: decorator
  @inline
  export function count(a: usize): usize { return <usize>load<u32>(a, 68); }
  // @ts-ignore: decorator
  @inline
  export function ended(a: usize): usize { return <usize>load<u32>(a, 72); }
}

/** load */
export namespace Load {
  // @ts-ignore: decorator
  @inline
  export function heads(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function width(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function rotary(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function tableRows(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function source(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function rotate(a: usize): bool { return load<i32>(a, 32) != 0; }
  // @ts-ignore: decorator
  @inline
  export function sourceAt(a: usize): usize { return <usize>load<u32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function ranks(a: usize): usize { return <usize>load<u32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function table(a: usize): usize { return <usize>load<u32>(a, 44); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 48); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 52); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 56); }
}

/** store */
export namespace Store {
  // @ts-ignore: decorator
  @inline
  export function sequences(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function arenaRows(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): usize { return <usize>load<u32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function offset(a: usize): usize { return <usize>load<u32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function ended(a: usize): usize { return <usize>load<u32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function target(a: usize): usize { return <usize>load<u32>(a, 36); }
}

/** unary */
export namespace Unary {
  // @ts-ignore: decorator
  @inline
  export function elements(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function kind(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function xAt(a: usize): usize { return <usize>load<u32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 20); }
}

export enum UnaryKind {
  neg,
  abs,
  exp,
  log,
  sqrt,
  not,
  float,
}

/** binary */
export namespace Binary {
  // @ts-ignore: decorator
  @inline
  export function d0(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function d1(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function d2(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function a0(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function a1(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function a2(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function b0(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function b1(a: usize): i32 { return load<i32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function b2(a: usize): i32 { return load<i32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function kind(a: usize): i32 { return load<i32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function literal(a: usize): bool { return load<i32>(a, 44) != 0; }
  // @ts-ignore: decorator
  @inline
  export function value(a: usize): f64 { return load<f64>(a, 48); }
  // @ts-ignore: decorator
  @inline
  export function a(a: usize): usize { return <usize>load<u32>(a, 56); }
  // @ts-ignore: decorator
  @inline
  export function b(a: usize): usize { return <usize>load<u32>(a, 60); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 64); }
}

export enum BinaryKind {
  add,
  sub,
  mul,
  div,
  max,
  min,
  lt,
  le,
  gt,
  ge,
  eq,
  and,
  or,
}

/** where */
export namespace Where {
  // @ts-ignore: decorator
  @inline
  export function d0(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function d1(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function d2(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function m0(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function m1(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function m2(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function a0(a: usize): i32 { return load<i32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function a1(a: usize): i32 { return load<i32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function a2(a: usize): i32 { return load<i32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function b0(a: usize): i32 { return load<i32>(a, 40); }
  // @ts-ignore: decorator
  @inline
  export function b1(a: usize): i32 { return load<i32>(a, 44); }
  // @ts-ignore: decorator
  @inline
  export function b2(a: usize): i32 { return load<i32>(a, 48); }
  // @ts-ignore: decorator
  @inline
  export function literalA(a: usize): bool { return load<i32>(a, 52) != 0; }
  // @ts-ignore: decorator
  @inline
  export function valueA(a: usize): f64 { return load<f64>(a, 56); }
  // @ts-ignore: decorator
  @inline
  export function literalB(a: usize): bool { return load<i32>(a, 64) != 0; }
  // @ts-ignore: decorator
  @inline
  export function valueB(a: usize): f64 { return load<f64>(a, 68); }
  // @ts-ignore: decorator
  @inline
  export function mask(a: usize): usize { return <usize>load<u32>(a, 76); }
  // @ts-ignore: decorator
  @inline
  export function a(a: usize): usize { return <usize>load<u32>(a, 80); }
  // @ts-ignore: decorator
  @inline
  export function b(a: usize): usize { return <usize>load<u32>(a, 84); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 88); }
}

/** reduce */
export namespace Reduce {
  // @ts-ignore: decorator
  @inline
  export function d0(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function d1(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function d2(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function share(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function axis(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function kind(a: usize): i32 { return load<i32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function ragged(a: usize): bool { return load<i32>(a, 28) != 0; }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): usize { return <usize>load<u32>(a, 32); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 36); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 40); }
}

export enum ReduceKind {
  sum,
  mean,
  max,
  min,
  norm,
}

/** pool */
export namespace Pool {
  // @ts-ignore: decorator
  @inline
  export function heads(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function kernel(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function share(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function kind(a: usize): i32 { return load<i32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): usize { return <usize>load<u32>(a, 24); }
  // @ts-ignore: decorator
  @inline
  export function length(a: usize): usize { return <usize>load<u32>(a, 28); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 32); }
}

export enum PoolKind {
  avg,
  max,
}

/** hash */
export namespace Hash {
  // @ts-ignore: decorator
  @inline
  export function heads(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function capacity(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function kvHeads(a: usize): i32 { return load<i32>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function seed(a: usize): i32 { return load<i32>(a, 16); }
  // @ts-ignore: decorator
  @inline
  export function positions(a: usize): usize { return <usize>load<u32>(a, 20); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 24); }
}

/** fill */
export namespace Fill {
  // @ts-ignore: decorator
  @inline
  export function words(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function dtype(a: usize): i32 { return load<i32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function value(a: usize): f64 { return load<f64>(a, 12); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 20); }
}

/** copy */
export namespace Copy {
  // @ts-ignore: decorator
  @inline
  export function words(a: usize): i32 { return load<i32>(a, 4); }
  // @ts-ignore: decorator
  @inline
  export function x(a: usize): usize { return <usize>load<u32>(a, 8); }
  // @ts-ignore: decorator
  @inline
  export function out(a: usize): usize { return <usize>load<u32>(a, 12); }
}
