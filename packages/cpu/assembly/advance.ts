import { Advance } from "./lib/arguments";
import { thread } from "./lib/control";

export function advance(a: usize): void {
  if (thread != 0) return;
  const sequences = Advance.sequences(a);
  const width = Advance.width(a);
  const rows = Advance.repeat(a) * sequences;
  for (let row = 0; row < rows; row++) {
    if (load<i32>(Advance.ended(a) + ((row % sequences) << 2)) != 0) continue;
    for (let i = 0; i < width; i++) {
      const at = Advance.counter(a) + ((<usize>row * <usize>width + i) << 2);
      store<i32>(at, load<i32>(at) + Advance.by(a));
    }
  }
}
