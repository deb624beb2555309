import { DType } from "./arguments";
import { sizeOf, unpack } from "./half";
import { packPanel } from "./panel";
import { angles, rotate } from "./rotation";

// Rows of K and V, in any dtype, prepared for `tile`.

/** Angles to rotate keys by their rank: `ranks` is plane 1 of the cells, from the head's first row on. */
export class Turn {
  static ranks: usize = 0;
  static table: usize = 0;
  static tableRows: i32 = 0;
  static rotary: i32 = 0;
}

/** Row `row` of a head's keys as f32, rotated to its rank if `Turn.ranks` is set. */
export function unpackKey(dtype: i32, keys: usize, headSize: i32, row: i32, to: usize): void {
  unpack(dtype, keys + <usize>row * <usize>(headSize * sizeOf(dtype)), to, headSize);
  if (Turn.ranks == 0) return;
  rotate(to, Turn.rotary, angles(Turn.table, Turn.tableRows, Turn.rotary, load<i32>(Turn.ranks + (row << 2))));
}

/** Keys of rows first..first + count as panels [headSize, 8] at `to`; `spare` holds eight rows. */
export function packKeys(
  dtype: i32, keys: usize, headSize: i32, first: i32, count: i32, to: usize, spare: usize,
): void {
  const bytes = <usize>headSize << 2;
  for (let j = 0; j < count; j += 8) {
    const rows = min(8, count - j);
    let from = spare;
    if (dtype == DType.F32 && Turn.ranks == 0) from = keys + <usize>(first + j) * bytes;
    else for (let r = 0; r < rows; r++) unpackKey(dtype, keys, headSize, first + j + r, spare + <usize>r * bytes);
    packPanel(from, bytes, rows, headSize, to + <usize>(j >> 3) * (bytes << 3));
  }
}

/** Values of rows first..first + count as f32 rows of `padded` numbers at `to`. */
export function unpackValues(
  dtype: i32, values: usize, headSize: i32, padded: i32, first: i32, count: i32, to: usize,
): void {
  const bytes = <usize>(headSize * sizeOf(dtype));
  for (let j = 0; j < count; j++) {
    const row = to + ((<usize>j * padded) << 2);
    unpack(dtype, values + <usize>(first + j) * bytes, row, headSize);
    for (let i = headSize; i < padded; i++) store<f32>(row + (i << 2), 0);
  }
}
