import { DType } from "./arguments";

// Conversions between 16-bit floats and f32, four at a time or one.

// @ts-ignore: decorator
@inline
export function fromBFloat16x4(bits: v128): v128 { return i32x4.shl(bits, 16); }

/**
 * Converts halves in the low 16 bits of each lane. Moves the fraction into place and multiplies by 2^112, which
 * corrects the exponent, also of subnormals.
 */
// @ts-ignore: decorator
@inline
export function fromFloat16x4(bits: v128): v128 {
  const size = v128.and(bits, i32x4.splat(0x7fff));
  const sign = i32x4.shl(v128.xor(bits, size), 16);
  const scaled = f32x4.mul(i32x4.shl(size, 13), f32x4.splat(5.192296858534828e33));
  const special = v128.and(i32x4.gt_s(size, i32x4.splat(0x7bff)), i32x4.splat(0x7f800000));
  return v128.or(v128.or(scaled, special), sign);
}

/** Rounds to nearest even; bits in the low half of each lane. */
// @ts-ignore: decorator
@inline
export function toBFloat16x4(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd), 16);
  return v128.bitselect(v128.or(i32x4.shr_u(x, 16), i32x4.splat(0x40)), rounded, f32x4.ne(x, x));
}

/** Rounds to nearest even, to infinity beyond the range; bits in the low half of each lane. */
// @ts-ignore: decorator
@inline
export function toFloat16x4(x: v128): v128 {
  const size = v128.and(x, i32x4.splat(0x7fffffff));
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  const odd = v128.and(i32x4.shr_u(size, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(size, i32x4.splat(0xc8000fff)), odd), 13);
  // Adding 0.5 makes the adder round at the last bit of a subnormal.
  const small = i32x4.sub(f32x4.add(size, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  let half = v128.bitselect(small, normal, i32x4.lt_s(size, i32x4.splat(0x38800000)));
  half = v128.bitselect(i32x4.splat(0x7c00), half, i32x4.gt_s(size, i32x4.splat(0x477fefff)));
  half = v128.bitselect(i32x4.splat(0x7e00), half, i32x4.gt_s(size, i32x4.splat(0x7f800000)));
  return v128.or(half, sign);
}

/**
 * The numbers of even place of eight numbers of 16 bits. Halves are only shifted into place, with `mask` 0x8fffe000,
 * and are still to be multiplied by 2^112. For bf16 the mask is 0xffff0000.
 */
// @ts-ignore: decorator
@inline
export function evens(dtype: i32, bits: v128, mask: v128): v128 {
  const low = i32x4.shl(bits, 16);
  return dtype == DType.F16 ? v128.and(i32x4.shr_s(low, 3), mask) : low;
}

/** The numbers of odd place. */
// @ts-ignore: decorator
@inline
export function odds(dtype: i32, bits: v128, mask: v128): v128 {
  return v128.and(dtype == DType.F16 ? i32x4.shr_s(bits, 3) : bits, mask);
}

/** Bytes of one element of a dtype that is not quantised. */
// @ts-ignore: decorator
@inline
export function sizeOf(dtype: i32): i32 { return dtype == DType.F16 || dtype == DType.BF16 ? 2 : 4; }

/** Four elements as f32. */
// @ts-ignore: decorator
@inline
export function load4(dtype: i32, at: usize): v128 {
  if (dtype == DType.BF16) return fromBFloat16x4(v128.load_ext<u16>(at));
  if (dtype == DType.F16) return fromFloat16x4(v128.load_ext<u16>(at));
  if (dtype == DType.I32) return f32x4.convert_i32x4_s(v128.load(at));
  return v128.load(at);
}

// @ts-ignore: decorator
@inline
export function load1(dtype: i32, at: usize): f32 {
  if (dtype == DType.BF16) return reinterpret<f32>(<u32>load<u16>(at) << 16);
  if (dtype == DType.F16) return f32x4.extract_lane(fromFloat16x4(i32x4.splat(<i32>load<u16>(at))), 0);
  if (dtype == DType.I32) return <f32>load<i32>(at);
  return load<f32>(at);
}

// @ts-ignore: decorator
@inline
function unpackKind(dtype: i32, from: usize, to: usize, count: i32): void {
  const size = sizeOf(dtype);
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(to + (i << 2), load4(dtype, from + i * size));
  for (; i < count; i++) store<f32>(to + (i << 2), load1(dtype, from + i * size));
}

/** `count` elements from `from` as f32 at `to`. */
export function unpack(dtype: i32, from: usize, to: usize, count: i32): void {
  if (dtype == DType.BF16) unpackKind(DType.BF16, from, to, count);
  else if (dtype == DType.F16) unpackKind(DType.F16, from, to, count);
  else if (dtype == DType.I32) unpackKind(DType.I32, from, to, count);
  else memory.copy(to, from, count << 2);
}

/** `count` f32 from `from`, rounded to f16 or bf16 at `to`. */
export function pack(dtype: i32, from: usize, to: usize, count: i32): void {
  if (dtype == DType.F32) {
    memory.copy(to, from, count << 2);
    return;
  }
  const f16 = dtype == DType.F16;
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    const x = v128.load(from + (i << 2));
    const bits = f16 ? toFloat16x4(x) : toBFloat16x4(x);
    v128.store64_lane(to + (i << 1), i16x8.narrow_i32x4_u(bits, bits), 0);
  }
  for (; i < count; i++) {
    const x = f32x4.splat(load<f32>(from + (i << 2)));
    store<u16>(to + (i << 1), <u16>i32x4.extract_lane(f16 ? toFloat16x4(x) : toBFloat16x4(x), 0));
  }
}
