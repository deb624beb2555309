import { Where } from "./lib/arguments";
import { begin, end } from "./lib/control";

/** The address of an operand's number for element [i, j, k] of the result; an axis of length 1 is broadcast. */
// @ts-ignore: decorator
@inline
function place(at: usize, n0: i32, n1: i32, n2: i32, i: i32, j: i32, k: i32): usize {
  return at + ((((n0 == 1 ? 0 : i) * n1 + (n1 == 1 ? 0 : j)) * n2 + (n2 == 1 ? 0 : k)) << 2);
}

export function where(a: usize): void {
  const d1 = Where.d1(a);
  const d2 = Where.d2(a);
  const literalA = Where.literalA(a);
  const literalB = Where.literalB(a);
  const valueA = <f32>Where.valueA(a);
  const valueB = <f32>Where.valueB(a);
  const count = Where.d0(a) * d1 * d2;
  const last = end(count);
  for (let index = begin(count); index < last; index++) {
    const k = index % d2;
    const row = index / d2;
    const j = row % d1;
    const i = row / d1;
    let value: f32;
    if (load<f32>(place(Where.mask(a), Where.m0(a), Where.m1(a), Where.m2(a), i, j, k)) != 0) {
      value = literalA ? valueA : load<f32>(place(Where.a(a), Where.a0(a), Where.a1(a), Where.a2(a), i, j, k));
    } else {
      value = literalB ? valueB : load<f32>(place(Where.b(a), Where.b0(a), Where.b1(a), Where.b2(a), i, j, k));
    }
    store<f32>(Where.out(a) + (index << 2), value);
  }
}
