import { activationBytes, prepareActivations } from "./activations";
import { DType, Linear } from "./arguments";
import { barrier, claim, sharedScratch, threads, threadScratch } from "./control";
import { dots32, dotsBFloat16, dotsFloat16 } from "./dots";
import { sizeOf } from "./half";
import { dots4Bits, dots8 } from "./quantised-dots";
import { PAGE, prefetchPages } from "./prefetch";
import { isQuantised, minimumsOf, scalesOf } from "./weights";

/**
 * `linear` of one to three rows. Its speed is that of reading the weights, once, as four streams. With 512 rows per
 * unit the streams are whole pages apart if rows are a multiple of 32 bytes, so that all four reach a new page
 * together: waiting for four takes as long as waiting for one.
 */
export function gemv(a: usize): void {
  const rows = Linear.rows(a);
  const width = Linear.width(a);
  const out = Linear.out(a);
  const dtype = Linear.weight(a);
  const matrix = Linear.weightAt(a);
  const x = sharedScratch();
  const xBytes = activationBytes(dtype, width);
  for (let r = claim(); r < rows; r = claim()) {
    prepareActivations(dtype, Linear.x(a) + ((<usize>r * width) << 2), width, x + <usize>r * xBytes);
  }
  barrier();

  const results = threadScratch();
  const rowBytes = weightBytes(dtype, width);
  const lastPage = (matrix + <usize>out * rowBytes - 1) & ~(PAGE - 1);
  const bias = Linear.bias(a) ? Linear.biasAt(a) : 0;
  const residual = Linear.residual(a) ? Linear.residualAt(a) : 0;
  const to = Linear.outAt(a);
  const size = unitRows(out, rowBytes);
  const units = (out + size - 1) / size;
  for (let unit = claim(); unit < units; unit = claim()) {
    const first = unit * size;
    const count = min(size, out - first);
    const last = first + count - 1;
    const apart = (count + 3) >> 2;
    for (let i = 0; i < apart; i++) {
      // Four rows far apart. If there are too few, the last one is computed again and dropped.
      const o0 = first + i;
      const o1 = o0 + apart;
      const o2 = o1 + apart;
      const o3 = o2 + apart;
      const at = matrix + <usize>o0 * rowBytes;
      const next = (at + rowBytes) & ~(PAGE - 1);
      if (i == 0 || next > at) prefetchPages(next, <usize>apart * rowBytes, lastPage);
      dots4(dtype, matrix, out, width, o0, min(o1, last), min(o2, last), min(o3, last), x, xBytes, rows, results);
      for (let r = 0; r < rows; r++) {
        const dots = results + (<usize>r << 4);
        const row = <usize>r * out;
        finish(to, row, o0, load<f32>(dots), bias, residual);
        if (o1 <= last) finish(to, row, o1, load<f32>(dots, 4), bias, residual);
        if (o2 <= last) finish(to, row, o2, load<f32>(dots, 8), bias, residual);
        if (o3 <= last) finish(to, row, o3, load<f32>(dots, 12), bias, residual);
      }
    }
  }
}

/**
 * Rows of one unit of work. Each unit starts by waiting for memory, so units are large, and if their streams are whole
 * pages apart they stay prefetched together. But every thread should get a unit.
 */
function unitRows(out: i32, rowBytes: usize): i32 {
  const whole = 4 * max(1, <i32>(PAGE >> ctz(rowBytes))); // Four times as many rows as make whole pages.
  const most = min(768, out / (3 * threads));
  if (most >= whole) return most / whole * whole;
  return whole * (threads - 1) < out ? whole : max(32, min(512, (out >> 4) & ~3));
}

// @ts-ignore: decorator
@inline
function finish(to: usize, row: usize, o: i32, dot: f32, bias: usize, residual: usize): void {
  const place = (row + o) << 2;
  if (bias != 0) dot += load<f32>(bias + (<usize>o << 2));
  if (residual != 0) dot += load<f32>(residual + place);
  store<f32>(to + place, dot);
}

/** Bytes of a row of weights, its scales and minimums not counted. */
function weightBytes(dtype: i32, width: i32): usize {
  if (!isQuantised(dtype)) return <usize>width * sizeOf(dtype);
  return dtype == DType.Q8_0 ? <usize>width : <usize>width >> 1;
}

/**
 * to[i, 0..4) = rows r0..r3 of weights . row i of `count` rows of activations, `xBytes` apart. Uses 64 more bytes
 * behind them. The kernel of each dtype is a separate function, because V8 allocates registers badly in one large
 * function.
 */
function dots4(
  dtype: i32, matrix: usize, out: i32, width: i32, r0: i32, r1: i32, r2: i32, r3: i32, x: usize, xBytes: usize,
  count: i32, to: usize,
): void {
  if (dtype == DType.F32) return dots32(matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
  if (dtype == DType.BF16) return dotsBFloat16(matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
  if (dtype == DType.F16) return dotsFloat16(matrix, width, r0, r1, r2, r3, x, xBytes, count, to);
  const blocks = width >> 5;
  const scales = matrix + scalesOf(dtype, out, width);
  const spare = to + (<usize>count << 4);
  for (let i = 0; i < count; i++, x += xBytes, to += 16) {
    if (dtype == DType.Q8_0) {
      dots8(matrix, scales, blocks, r0, r1, r2, r3, x, to, spare);
    } else {
      const minimums = dtype == DType.Q4_1 ? minimumsOf(dtype, out, width) - scalesOf(dtype, out, width) : 0;
      dots4Bits(matrix, scales, minimums, blocks, r0, r1, r2, r3, x, to, spare);
    }
  }
}
