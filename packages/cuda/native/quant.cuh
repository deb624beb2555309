// Quantised weights in planes: quants, then one f16 scale per block of 32, then (q4_1) one f16 minimum per block.
#pragma once
#include "common.cuh"

struct q8_0 {};
struct q4_0 {};
struct q4_1 {};
constexpr int block_size = 32;

__device__ __host__ inline size_t align16(size_t bytes) { return (bytes + 15) / 16 * 16; }

/** The planes of a matrix [out, width]; BYTES: size of the quants of one block. */
template <int BYTES>
struct planes {
  const uint8_t* quants;
  const f16* scales;
  const f16* minimums;
  __device__ planes(const void* matrix, size_t out, size_t width) {
    const size_t blocks = out * (width / block_size);
    quants = static_cast<const uint8_t*>(matrix);
    const uint8_t* after = quants + align16(blocks * BYTES);
    scales = reinterpret_cast<const f16*>(after);
    minimums = reinterpret_cast<const f16*>(after + align16(2 * blocks));
  }
};

/** Scalar access to the weights of a matrix of any type. */
template <typename W>
struct weights {
  const W* at;
  __device__ weights(const void* matrix, size_t, size_t) : at(static_cast<const W*>(matrix)) {}
  __device__ float get(size_t index) const { return to_f32(at[index]); }
};
template <>
struct weights<q8_0> : planes<32> {
  using planes<32>::planes;
  __device__ float get(size_t index) const {
    return to_f32(scales[index / 32]) * static_cast<float>(static_cast<int8_t>(quants[index]));
  }
};
__device__ inline int nibble(const uint8_t* quants, size_t index) {
  const int pair = quants[index / 32 * 16 + index % 16];
  return index % 32 < 16 ? pair & 15 : pair >> 4;
}
template <>
struct weights<q4_0> : planes<16> {
  using planes<16>::planes;
  __device__ float get(size_t index) const {
    return to_f32(scales[index / 32]) * static_cast<float>(nibble(quants, index) - 8);
  }
};
template <>
struct weights<q4_1> : planes<16> {
  using planes<16>::planes;
  __device__ float get(size_t index) const {
    return to_f32(scales[index / 32]) * static_cast<float>(nibble(quants, index)) + to_f32(minimums[index / 32]);
  }
};

__device__ inline __half2 halves(unsigned bits) { return *reinterpret_cast<const __half2*>(&bits); }
__device__ inline unsigned bits_of(__half2 pair) { return *reinterpret_cast<const unsigned*>(&pair); }
/** The two low (or high) bytes of `word`, each as the f16 number 1024 + byte. */
__device__ inline unsigned low_bytes(unsigned word) { return __byte_perm(word, 0x64646464u, 0x4140); }
__device__ inline unsigned high_bytes(unsigned word) { return __byte_perm(word, 0x64646464u, 0x4342); }

#define EACH_WEIGHT(MAKE) \
  MAKE(f32, float) MAKE(f16, f16) MAKE(bf16, bf16) MAKE(q8_0, q8_0) MAKE(q4_0, q4_0) MAKE(q4_1, q4_1)
