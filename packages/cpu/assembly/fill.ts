import { DType, Fill } from "./lib/arguments";
import { begin, end } from "./lib/control";

export function fill(a: usize): void {
  const words = Fill.words(a);
  const value = Fill.value(a);
  const bits = Fill.dtype(a) == DType.I32 ? <i32><i64>value : reinterpret<i32>(<f32>value);
  const last = Fill.out(a) + (<usize>end(words) << 2);
  for (let at = Fill.out(a) + (<usize>begin(words) << 2); at < last; at += 4) store<i32>(at, bits);
}
