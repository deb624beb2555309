// f16 on the host, rounded to nearest, ties to even.
#pragma once
#include "device.h"

struct __half {
  uint16_t bits;
};
struct alignas(4) __half2 {
  __half x, y;
};
#ifdef __clang__
inline float __half2float(__half x) {
  _Float16 y;
  std::memcpy(&y, &x, 2);
  return static_cast<float>(y);
}
inline __half __float2half_rn(float x) {
  const _Float16 y = static_cast<_Float16>(x);
  __half z;
  std::memcpy(&z, &y, 2);
  return z;
}
#else
// The instructions of F16C, without the headers of all intrinsics, which take a second to compile.
typedef float four_floats __attribute__((vector_size(16)));
typedef short eight_shorts __attribute__((vector_size(16)));
inline float __half2float(__half x) { return __builtin_ia32_vcvtph2ps(eight_shorts{static_cast<short>(x.bits)})[0]; }
inline __half __float2half_rn(float x) {
  return {static_cast<uint16_t>(__builtin_ia32_vcvtps2ph(four_floats{x}, 0)[0])};
}
#endif
inline float2 __half22float2(__half2 x) { return {__half2float(x.x), __half2float(x.y)}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__float2half_rn(x), __float2half_rn(y)}; }
inline __half2 __float2half2_rn(float x) { return __floats2half2_rn(x, x); }
inline __half2 __half2half2(__half x) { return {x, x}; }
inline __half2 __hadd2(__half2 a, __half2 b) {
  const float2 x = __half22float2(a), y = __half22float2(b);
  return __floats2half2_rn(x.x + y.x, x.y + y.y);
}
inline __half2 __hmul2(__half2 a, __half2 b) {
  const float2 x = __half22float2(a), y = __half22float2(b);
  return __floats2half2_rn(x.x * y.x, x.y * y.y);
}
/** a b + c, rounded once: products of two f16 are exact in f64, and so nearly are the sums. */
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  const float2 x = __half22float2(a), y = __half22float2(b), z = __half22float2(c);
  return __floats2half2_rn(static_cast<float>(static_cast<double>(x.x) * y.x + z.x),
                           static_cast<float>(static_cast<double>(x.y) * y.y + z.y));
}
