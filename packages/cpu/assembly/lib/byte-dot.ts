// Dot products of four bytes: an instruction of relaxed SIMD. The standard defines its result only if no byte of `x`
// has its high bit set; otherwise it depends on the machine. ARM reads `x` as signed. x86 with VNNI reads it as
// unsigned and adds in 32 bits. x86 without VNNI adds pairs in 16 bits, which overflow, and needs three instructions,
// which is slower than products of 16 bits. So the machine is tested at start.

/**
 * What is added to activations of -127..127 so that `byteDot` computes correctly: 0 or 128; -1 if neither works.
 */
export let zeroPoint: i32 = -1;

/** c + w . x for each four bytes: `w` are signed, `x` are numbers to which `zeroPoint` was added. */
// @ts-ignore: decorator
@inline
export function byteDot(w: v128, x: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, x, c);
  // The instruction for signed `x`. Matrix products with base SIMD do not use it, because this is slow.
  const low = i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_low_i8x16_s(w, x));
  const high = i32x4.extadd_pairwise_i16x8_s(i16x8.extmul_high_i8x16_s(w, x));
  return i32x4.add(c, i32x4.add(v128.shuffle<i32>(low, high, 0, 2, 4, 6), v128.shuffle<i32>(low, high, 1, 3, 5, 7)));
}

// In memory, because the optimiser would compute the products otherwise: weights, activations of up to 127, activations
// with their high bit set.
const PROBES = memory.data<i8>([
  127, 127, 127, 127, -128, -128, -128, -128, 127, -128, 127, -128, 1, 2, 3, 4,
  127, 127, 127, 127, 127, 127, 127, 127, 127, 127, 0, 1, 5, 6, 7, 8,
  -1, -1, -1, -1, -1, -1, -1, -1, -1, -128, -128, -1, -1, -2, -3, -128,
]);

// @ts-ignore: decorator
@inline
function differs(a: v128, b: v128): bool { return i32x4.bitmask(i32x4.ne(a, b)) != 0; }

/** Finds the zero point. Returns false where not even what the standard says holds. */
export function findZeroPoint(): bool {
  zeroPoint = -1;
  if (!ASC_FEATURE_RELAXED_SIMD) return true;
  const w = v128.load(PROBES);
  if (differs(byteDot(w, v128.load(PROBES, 16), i32x4(1, 2, 3, -4)), i32x4(64517, -65022, -252, 66))) return false;
  const dots = byteDot(w, v128.load(PROBES, 32), i32x4(1, 2, 3, -4));
  if (!differs(dots, i32x4(-507, 514, 132, -530))) zeroPoint = 0;
  else if (!differs(dots, i32x4(129541, -130558, -380, 2030))) zeroPoint = 128;
  return true;
}
