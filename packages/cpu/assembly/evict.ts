import { Evict } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { sizeOf } from "./lib/half";

/** Moves one row of K, V and cells within a head. */
// @ts-ignore: decorator
@inline
function move(a: usize, bytes: usize, from: usize, to: usize): void {
  memory.copy(Evict.keys(a) + to * bytes, Evict.keys(a) + from * bytes, bytes);
  memory.copy(Evict.values(a) + to * bytes, Evict.values(a) + from * bytes, bytes);
  for (let p = 0; p < Evict.planes(a); p++) {
    const plane = Evict.cells(a) + ((<usize>p * <usize>Evict.arenaRows(a)) << 2);
    store<i32>(plane + (to << 2), load<i32>(plane + (from << 2)));
  }
}

/** Plane 1 of the survivors falls by the number of evicted rows that ranked lower. */
function lowerRanks(ranks: usize, length: i32, rows: usize, count: i32): void {
  // evicted[r]: whether the row of rank r is evicted; then how many rows of lower rank are.
  const evicted = threadScratch();
  memory.fill(evicted, 0, <usize>length << 2);
  let survivor = 0;
  for (let row = 0; row < length; row++) {
    if (survivor < count && load<i32>(rows + (survivor << 2)) == row) {
      survivor++;
      continue;
    }
    const rank = load<i32>(ranks + (row << 2));
    if (<u32>rank < <u32>length) store<i32>(evicted + (rank << 2), 1);
  }
  let lower = 0;
  for (let rank = 0; rank < length; rank++) {
    const gone = load<i32>(evicted + (rank << 2));
    store<i32>(evicted + (rank << 2), lower);
    lower += gone;
  }
  for (let i = 0; i < count; i++) {
    const at = ranks + (load<i32>(rows + (i << 2)) << 2);
    const rank = load<i32>(at);
    if (<u32>rank < <u32>length) store<i32>(at, rank - load<i32>(evicted + (rank << 2)));
  }
}

export function evict(a: usize): void {
  const kvHeads = Evict.kvHeads(a);
  const heads = Evict.sequences(a) * kvHeads;
  const bytes = <usize>Evict.headSize(a) * sizeOf(Evict.kv(a));
  for (let h = claim(); h < heads; h = claim()) {
    const count = max(0, min(load<i32>(Evict.count(a) + (h << 2)), Evict.most(a)));
    const offset = load<i32>(Evict.offset(a) + (h << 2));
    const length = min(load<i32>(Evict.length(a) + (h << 2)), min(Evict.capacity(a), Evict.arenaRows(a) - offset));
    if (load<i32>(Evict.ended(a) + ((h / kvHeads) << 2)) != 0 || count >= length) continue;
    const start = <usize>offset;
    const rows = Evict.rows(a) + ((<usize>h * <usize>Evict.most(a)) << 2);
    if (Evict.ranks(a)) lowerRanks(Evict.cells(a) + ((<usize>Evict.arenaRows(a) + start) << 2), length, rows, count);
    if (Evict.ordered(a)) {
      for (let i = 0; i < count; i++) {
        const row = load<i32>(rows + (i << 2));
        if (row != i) move(a, bytes, start + row, start + i);
      }
    } else {
      // Survivors below `count` stay; the first beyond it fills the first hole.
      let mover = 0;
      while (mover < count && load<i32>(rows + (mover << 2)) < count) mover++;
      for (let place = 0, stay = 0; mover < count; place++) {
        if (load<i32>(rows + (stay << 2)) == place) stay++;
        else move(a, bytes, start + load<i32>(rows + (mover++ << 2)), start + place);
      }
    }
    store<i32>(Evict.length(a) + (h << 2), count);
  }
}
