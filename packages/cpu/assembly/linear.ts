import { activationBytes, quantise, scaleBytes } from "./lib/activations";
import { DType, Linear } from "./lib/arguments";
import { byteRowBytes, GROUP, quantiseGroup } from "./lib/byte-activations";
import { zeroPoint } from "./lib/byte-dot";
import { bytePanelBytes, packBytes, tileBytes4, tileBytes6, tileMinimums4, tileMinimums6 } from "./lib/byte-tile";
import { barrier, claim, sharedScratch, threadScratch } from "./lib/control";
import { gemv } from "./lib/gemv";
import { packPanel } from "./lib/panel";
import { packQuantised, panelBytes, tileQuantised } from "./lib/quantised-tile";
import { tile } from "./lib/tile";
import { isQuantised, unpackWeights } from "./lib/weights";

const DEPTH = 512; // Numbers along `width` that a panel holds at a time: 16 KiB for eight outputs.
const BYTE_DEPTH = 768; // The same for bytes.
const COLUMNS = 32; // Outputs that a worker takes at a time.

/** out starts from bias and residual. */
function start(a: usize, first: i32, last: i32): void {
  const out = Linear.out(a);
  for (let r = 0; r < Linear.rows(a); r++) {
    const row = (<usize>r * <usize>out) << 2;
    const target = Linear.outAt(a) + row;
    const residual = Linear.residual(a) ? Linear.residualAt(a) + row : 0;
    if (!Linear.bias(a) && residual == target) continue;
    const bias = Linear.bias(a) ? Linear.biasAt(a) : 0;
    let o = <usize>first << 2;
    const end = <usize>last << 2;
    for (; o + 16 <= end; o += 16) {
      let x = bias != 0 ? v128.load(bias + o) : f32x4.splat(0);
      if (residual != 0) x = f32x4.add(x, v128.load(residual + o));
      v128.store(target + o, x);
    }
    for (; o < end; o += 4) {
      let x: f32 = bias != 0 ? load<f32>(bias + o) : 0;
      if (residual != 0) x += load<f32>(residual + o);
      store<f32>(target + o, x);
    }
  }
}

/** Many rows times weights that are unpacked to f32. */
function plainMatrix(a: usize): void {
  const rows = Linear.rows(a);
  const width = Linear.width(a);
  const out = Linear.out(a);
  const x = Linear.x(a);
  const target = Linear.outAt(a);
  const panels = threadScratch();
  const spare = panels + COLUMNS * DEPTH * 4;
  const edge = spare + 8 * DEPTH * 4;
  const units = (out + COLUMNS - 1) / COLUMNS;
  for (let unit = claim(); unit < units; unit = claim()) {
    const first = unit * COLUMNS;
    const last = min(out, first + COLUMNS);
    start(a, first, last);
    for (let from = 0; from < width; from += DEPTH) {
      const depth = min(DEPTH, width - from);
      for (let o = first; o < last; o += 8) {
        const columns = min(8, last - o);
        for (let c = 0; c < columns; c++) {
          unpackWeights(Linear.weight(a), Linear.weightAt(a), out, width, o + c, from, depth, spare + c * depth * 4);
        }
        packPanel(spare, depth << 2, columns, depth, panels + (o - first) * depth * 4);
      }
      for (let r = 0; r < rows; r += 12) {
        const count = min(12, rows - r);
        const left = x + ((<usize>r * <usize>width + from) << 2);
        for (let o = first; o < last; o += 8) {
          const panel = panels + (o - first) * depth * 4;
          const to = target + ((<usize>r * <usize>out + o) << 2);
          if (last - o >= 8) {
            tile(count, depth, left, width << 2, panel, 32, to, out << 2, true);
            continue;
          }
          tile(count, depth, left, width << 2, panel, 32, edge, 32, false);
          addEdge(edge, count, last - o, to, out);
        }
      }
    }
  }
}

/** Many rows times quantised weights, by products of 16 bits. */
function quantisedMatrix(a: usize): void {
  const rows = Linear.rows(a);
  const width = Linear.width(a);
  const out = Linear.out(a);
  const dtype = Linear.weight(a);
  const matrix = Linear.weightAt(a);
  const x = sharedScratch();
  const xBytes = activationBytes(dtype, width);
  const scales = <usize>width << 1;
  for (let r = claim(); r < rows; r = claim()) {
    quantise(false, Linear.x(a) + ((<usize>r * width) << 2), width, x + <usize>r * xBytes, 1);
  }
  barrier();

  const panels = threadScratch();
  const units = (out + COLUMNS - 1) / COLUMNS;
  for (let unit = claim(); unit < units; unit = claim()) {
    const first = unit * COLUMNS;
    const last = min(out, first + COLUMNS);
    start(a, first, last);
    for (let from = 0; from < width; from += DEPTH) {
      const depth = min(DEPTH, width - from);
      const bytes = panelBytes(depth);
      const edge = panels + (COLUMNS / 8) * bytes;
      const spare = edge + 128;
      for (let o = first; o < last; o += 8) {
        packQuantised(dtype, matrix, out, width, o, min(8, last - o), from, depth,
          panels + ((o - first) >> 3) * bytes, spare);
      }
      for (let r = 0; r < rows; r += 4) {
        const left = x + <usize>r * xBytes;
        const s = left + scales + (from >> 3);
        const f = s + scaleBytes(width);
        for (let o = first; o < last; o += 8) {
          const panel = panels + ((o - first) >> 3) * bytes;
          const to = Linear.outAt(a) + ((<usize>r * out + o) << 2);
          if (rows - r >= 4 && last - o >= 8) {
            tileQuantised(dtype == DType.Q4_1, depth, left + (from << 1), s, f, xBytes, panel, to, out << 2);
            continue;
          }
          memory.fill(edge, 0, 128);
          tileQuantised(dtype == DType.Q4_1, depth, left + (from << 1), s, f, xBytes, panel, edge, 32);
          addEdge(edge, min(4, rows - r), min(8, last - o), to, out);
        }
      }
    }
  }
}

/** Many rows times quantised weights, by products of bytes. */
function byteMatrix(a: usize): void {
  const rows = Linear.rows(a);
  const width = Linear.width(a);
  const out = Linear.out(a);
  const dtype = Linear.weight(a);
  const x = sharedScratch();
  const xBytes = byteRowBytes(width);
  const groups = (rows + GROUP - 1) / GROUP;
  for (let group = claim(); group < groups; group = claim()) {
    const r = group * GROUP;
    quantiseGroup(Linear.x(a) + ((<usize>r * width) << 2), width, min(GROUP, rows - r), x + <usize>r * xBytes);
  }
  barrier();

  const panels = threadScratch();
  const units = (out + COLUMNS - 1) / COLUMNS;
  for (let unit = claim(); unit < units; unit = claim()) {
    const first = unit * COLUMNS;
    const last = min(out, first + COLUMNS);
    start(a, first, last);
    for (let from = 0; from < width; from += BYTE_DEPTH) {
      const depth = min(BYTE_DEPTH, width - from);
      const bytes = bytePanelBytes(depth);
      const edge = panels + (COLUMNS / 8) * bytes;
      for (let o = first; o < last; o += 8) {
        packBytes(dtype, Linear.weightAt(a), out, width, o, min(8, last - o), from, depth,
          panels + ((o - first) >> 3) * bytes, edge + 192);
      }
      for (let r = 0; r < rows; r += GROUP) {
        const count = rows - r > 4 ? GROUP : 4;
        const left = x + <usize>r * xBytes;
        for (let o = first; o < last; o += 8) {
          const panel = panels + ((o - first) >> 3) * bytes;
          const to = Linear.outAt(a) + ((<usize>r * out + o) << 2);
          const whole = rows - r >= count && last - o >= 8; // Else the tile reaches beyond, and is made elsewhere.
          if (whole) {
            byteTile(dtype, count, left, width, from, depth, panel, to, out << 2);
            continue;
          }
          const above = min(count, rows - r);
          const within = min(8, last - o) << 2;
          for (let i = 0; i < above; i++) memory.copy(edge + (i << 5), to + ((<usize>i * out) << 2), within);
          byteTile(dtype, count, left, width, from, depth, panel, edge, 32);
          for (let i = 0; i < above; i++) memory.copy(to + ((<usize>i * out) << 2), edge + (i << 5), within);
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function byteTile(
  dtype: i32, rows: i32, x: usize, width: i32, from: i32, depth: i32, panel: usize, c: usize, stride: usize,
): void {
  if (dtype == DType.Q4_1) {
    if (rows == GROUP) tileMinimums6(x, width, from, depth, panel, c, stride);
    else tileMinimums4(x, width, from, depth, panel, c, stride);
  } else {
    if (rows == GROUP) tileBytes6(x, width, from, depth, panel, c, stride);
    else tileBytes4(x, width, from, depth, panel, c, stride);
  }
}

/** Adds the part of a tile that is within the result. */
function addEdge(edge: usize, rows: i32, columns: i32, to: usize, out: i32): void {
  for (let i = 0; i < rows; i++) {
    for (let c = 0; c < columns; c++) {
      const at = to + ((<usize>i * out + c) << 2);
      store<f32>(at, load<f32>(at) + load<f32>(edge + (i << 5) + (c << 2)));
    }
  }
}

export function linear(a: usize): void {
  if (Linear.rows(a) < 4) gemv(a);
  else if (!isQuantised(Linear.weight(a))) plainMatrix(a);
  else if (zeroPoint < 0) quantisedMatrix(a);
  else byteMatrix(a);
}
