import { Through } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { madd, sum } from "./lib/math";

// Rows of one head by fours, times tiles of 16 columns of its matrix. Scratch: the matrix and four rows, both padded
// with zeros to a multiple of 16 numbers.

const ROWS = 256; // Rows of one claim: copying the matrix costs little beside them.

/** The four sums over i < padded of x[r, i] (x G)[r, i], as lanes, added to `totals`. */
function square(padded: i32, matrix: usize, rows: usize, totals: usize): void {
  const stride = <usize>padded << 2;
  for (let column: usize = 0; column < stride; column += 64) {
    for (let r: usize = 0; r < 4; r += 2) {
      const x = rows + r * stride;
      let a0 = f32x4.splat(0); let a1 = a0; let a2 = a0; let a3 = a0;
      let b0 = a0; let b1 = a0; let b2 = a0; let b3 = a0;
      let g = matrix + column;
      for (let i: usize = 0; i < stride; i += 4, g += stride) {
        const p = v128.load32_splat(x + i);
        const q = v128.load32_splat(x + stride + i);
        const g0 = v128.load(g); const g1 = v128.load(g, 16); const g2 = v128.load(g, 32); const g3 = v128.load(g, 48);
        a0 = madd(p, g0, a0); a1 = madd(p, g1, a1); a2 = madd(p, g2, a2); a3 = madd(p, g3, a3);
        b0 = madd(q, g0, b0); b1 = madd(q, g1, b1); b2 = madd(q, g2, b2); b3 = madd(q, g3, b3);
      }
      const y = x + column;
      let a = f32x4.mul(a0, v128.load(y));
      a = madd(a1, v128.load(y, 16), a);
      a = madd(a2, v128.load(y, 32), a);
      a = madd(a3, v128.load(y, 48), a);
      let b = f32x4.mul(b0, v128.load(y + stride));
      b = madd(b1, v128.load(y + stride, 16), b);
      b = madd(b2, v128.load(y + stride, 32), b);
      b = madd(b3, v128.load(y + stride, 48), b);
      const to = totals + (r << 2);
      store<f32>(to, load<f32>(to) + sum(a));
      store<f32>(to, load<f32>(to, 4) + sum(b), 4);
    }
  }
}

function unit(a: usize, h: i32, first: i32, last: i32): void {
  const size = Through.size(a);
  const capacity = Through.capacity(a);
  const padded = (size + 15) & ~15;
  const matrix = threadScratch();
  const rows = matrix + ((<usize>padded * padded) << 2);
  const totals = rows + (<usize>padded << 4);
  const length = min(load<i32>(Through.length(a) + ((h / Through.group(a)) << 2)), capacity);
  const out = Through.out(a) + ((<usize>h * capacity) << 2);
  const held = max(first, min(last, length));
  if (held > first) {
    const gram = Through.gram(a) + ((<usize>(h % Through.share(a)) * size * size) << 2);
    memory.fill(matrix, 0, ((<usize>padded * padded) << 2) + (<usize>padded << 4));
    for (let i = 0; i < size; i++)
      memory.copy(matrix + ((<usize>i * padded) << 2), gram + ((<usize>i * size) << 2), <usize>size << 2);
  }
  const x = Through.x(a) + ((<usize>(h / Through.repeat(a)) * capacity * size) << 2);
  for (let row = first; row < held; row += 4) {
    const count = min(4, held - row);
    for (let r = 0; r < count; r++) {
      memory.copy(rows + ((<usize>r * padded) << 2), x + ((<usize>(row + r) * size) << 2), <usize>size << 2);
    }
    memory.fill(totals, 0, 16);
    square(padded, matrix, rows, totals);
    for (let r = 0; r < count; r++) {
      store<f32>(out + ((row + r) << 2), sqrt<f32>(max<f32>(0, load<f32>(totals + (r << 2)))));
    }
  }
  memory.fill(out + (held << 2), 0, <usize>(last - held) << 2);
}

export function through(a: usize): void {
  const capacity = Through.capacity(a);
  const units = (capacity + ROWS - 1) / ROWS;
  const all = Through.heads(a) * units;
  for (let i = claim(); i < all; i = claim()) {
    const first = (i % units) * ROWS;
    unit(a, i / units, first, min(capacity, first + ROWS));
  }
}
