import { Copy } from "./lib/arguments";
import { begin, end } from "./lib/control";

export function copy(a: usize): void {
  const first = <usize>begin(Copy.words(a)) << 2;
  memory.copy(Copy.out(a) + first, Copy.x(a) + first, (<usize>end(Copy.words(a)) << 2) - first);
}
