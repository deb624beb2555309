import { Topk } from "./lib/arguments";
import { claim, threadScratch } from "./lib/control";
import { greater, keyOf, kthGreatest } from "./lib/select";

function head(a: usize, h: i32): void {
  const capacity = Topk.capacity(a);
  const most = Topk.most(a);
  const room = min(capacity, Topk.arenaRows(a) - load<i32>(Topk.offset(a) + (h << 2)));
  const length = max(0, min(load<i32>(Topk.length(a) + (h << 2)), room));
  const kept = max(0, min(min(load<i32>(Topk.keep(a) + (h << 2)), length), most));
  const rows = Topk.rows(a) + ((<usize>h * <usize>most) << 2);
  store<i32>(Topk.count(a) + (h << 2), kept);
  if (kept == length) {
    for (let row = 0; row < length; row++) store<i32>(rows + (row << 2), row);
    return;
  }
  if (kept == 0) return;

  const histogram = threadScratch();
  const keys = histogram + 1024;
  const places = keys + (<usize>capacity << 2);
  const scores = Topk.scores(a) + ((<usize>h * <usize>capacity) << 2);
  for (let row = 0; row < length; row++) store<u32>(keys + (row << 2), keyOf(load<f32>(scores + (row << 2))));
  const threshold = kthGreatest(keys, length, kept, histogram);
  let ties = kept - greater;

  // Of the rows at the threshold, those with the lowest positions stay.
  const positions = Topk.positions(a) + (load<i32>(Topk.offset(a) + (h << 2)) << 2);
  let tied = 0;
  for (let row = 0; row < length; row++) {
    if (load<u32>(keys + (row << 2)) == threshold) {
      store<u32>(places + (tied++ << 2), ~(load<u32>(positions + (row << 2)) ^ 0x80000000));
    }
  }
  const place = kthGreatest(places, tied, ties, histogram);
  for (let row = 0, i = 0; row < length; row++) {
    const key = load<u32>(keys + (row << 2));
    if (key < threshold) continue;
    if (key == threshold && (ties == 0 || ~(load<u32>(positions + (row << 2)) ^ 0x80000000) < place)) continue;
    if (key == threshold) ties--;
    store<i32>(rows + (i++ << 2), row);
  }
}

export function topk(a: usize): void {
  const heads = Topk.heads(a);
  for (let h = claim(); h < heads; h = claim()) head(a, h);
}
