// The GEMV of `linear` for up to R rows, with two optional fusions: an RMS norm of x before it, and any function of the
// four outputs of a block after it.
#pragma once
#include "quant.cuh"

/**
 * 16 bytes of a row of weights: `count` numbers in pieces of `size`. Piece p holds the four numbers from `at(p)` on
 * and, if `size` is 8, the four that are 16 further on. Quants are unpacked exactly, with a bias added and without
 * their scale; `value` corrects both, given the sum of products and the sum of x. Weights are read once, so their loads
 * bypass the caches that x needs.
 */
__device__ inline uint4 stream(const void* at) { return __ldcs(static_cast<const uint4*>(at)); }

template <typename W>
struct chunk {  // f16, bf16
  static constexpr int count = 8, size = 4;
  static constexpr bool scaled = false;
  uint4 bits;
  __device__ void load(const weights<W>& all, size_t index) { bits = stream(all.at + index); }
  static __device__ int at(int piece) { return piece * 4; }
  __device__ void unpack(int piece, float (&w)[4]) const {
    float all[8];
    unpack8(bits, all, W{});
#pragma unroll
    for (int i = 0; i < 4; i++) w[i] = all[piece * 4 + i];
  }
  __device__ float value(float, float) const { return 0.0f; }
};
template <>
struct chunk<float> {
  static constexpr int count = 4, size = 4;
  static constexpr bool scaled = false;
  uint4 bits;
  __device__ void load(const weights<float>& all, size_t index) { bits = stream(all.at + index); }
  static __device__ int at(int piece) { return piece * 4; }
  __device__ void unpack(int, float (&w)[4]) const {
    w[0] = __uint_as_float(bits.x), w[1] = __uint_as_float(bits.y), w[2] = __uint_as_float(bits.z),
    w[3] = __uint_as_float(bits.w);
  }
  __device__ float value(float, float) const { return 0.0f; }
};
__device__ inline unsigned word_of(uint4 bits, int i) {
  return i == 0 ? bits.x : i == 1 ? bits.y : i == 2 ? bits.z : bits.w;
}
template <>
struct chunk<q8_0> {
  static constexpr int count = 16, size = 4;
  static constexpr bool scaled = true;
  uint4 bits;
  f16 scale;
  __device__ void load(const weights<q8_0>& all, size_t index) {
    bits = stream(all.quants + index), scale = all.scales[index / 32];
  }
  static __device__ int at(int piece) { return piece * 4; }
  /** Unpacks 1024 + 128 + quant as f16: integer conversions have a quarter of the throughput. */
  __device__ void unpack(int piece, float (&w)[4]) const {
    const unsigned word = word_of(bits, piece) ^ 0x80808080u;
    const float2 low = __half22float2(halves(low_bytes(word))), high = __half22float2(halves(high_bytes(word)));
    w[0] = low.x, w[1] = low.y, w[2] = high.x, w[3] = high.y;
  }
  __device__ float value(float dot, float sum) const { return to_f32(scale) * (dot - 1152.0f * sum); }
};
/** Piece p unpacks to 1024 + quant of numbers 4p to 4p + 3, then of those 16 further on. */
struct chunk_of_nibbles {
  static constexpr int count = 32, size = 8;
  static constexpr bool scaled = true;
  uint4 bits;
  static __device__ int at(int piece) { return piece * 4; }
  __device__ void unpack(int piece, float (&w)[8]) const {
    const unsigned word = word_of(bits, piece);
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll
      for (int odd = 0; odd < 2; odd++) {
        const float2 pair = __half22float2(halves((word >> (4 * half + 8 * odd) & 0x000f000fu) | 0x64006400u));
        w[4 * half + odd] = pair.x, w[4 * half + odd + 2] = pair.y;
      }
    }
  }
};
template <>
struct chunk<q4_0> : chunk_of_nibbles {
  f16 scale;
  __device__ void load(const weights<q4_0>& all, size_t index) {
    bits = stream(all.quants + index / 2), scale = all.scales[index / 32];
  }
  __device__ float value(float dot, float sum) const { return to_f32(scale) * (dot - 1032.0f * sum); }
};
template <>
struct chunk<q4_1> : chunk_of_nibbles {
  f16 scale, minimum;
  __device__ void load(const weights<q4_1>& all, size_t index) {
    bits = stream(all.quants + index / 2), scale = all.scales[index / 32], minimum = all.minimums[index / 32];
  }
  __device__ float value(float dot, float sum) const {
    return to_f32(scale) * (dot - 1024.0f * sum) + to_f32(minimum) * sum;
  }
};

constexpr int few_outs = 4;
/**
 * Blocks of 256 threads that a multiprocessor must hold at least; 0 leaves it to the compiler. Several rows of quants
 * or f32 need more registers than it grants by itself without spilling.
 */
template <typename W, int R>
constexpr int few_blocks = R > 1 && sizeof(W) != 2 ? 1 : 0;

/** Blocks of a launch that all run at once, with room for those of the next. */
#ifndef SHORT_GRID
#define SHORT_GRID 768
#endif
constexpr int short_grid = SHORT_GRID;
/** What `End::prepare` returns if there is nothing to load ahead. */
struct nothing {};

/**
 * The products of up to R rows from blockIdx.y x R on with the four outputs that `end.out(i)` names. With NORM, x is
 * normalised: x / sqrt(mean(x^2) + epsilon) x gain. The factor of the norm is applied to the sums, so that x is read
 * once. `end.prepare(row, rows)` may load numbers ahead;
 * end(row, sums, prepared) is called once for each row. The first weights are loaded before the launches before this
 * one are complete, so none of these may write them.
 */
template <typename W, int R, bool NORM, typename End>
__device__ void linear_few(const float* x, const float* gain, float epsilon, const void* matrix, const End& end,
                           int rows, int width, int outs) {
  constexpr int count = chunk<W>::count, size = chunk<W>::size, values = (few_outs + NORM) * R;
  __shared__ float room[8][values];
  const weights<W> all(matrix, outs, width);
  const int row = blockIdx.y * R;
  float sum[few_outs][R], squares[R];
#pragma unroll
  for (int r = 0; r < R; r++) {
    squares[r] = 0.0f;
#pragma unroll
    for (int o = 0; o < few_outs; o++) sum[o][r] = 0.0f;
  }
  size_t starts[few_outs];
#pragma unroll
  for (int o = 0; o < few_outs; o++) starts[o] = static_cast<size_t>(end.out(o)) * width;
  const auto load = [&](chunk<W>(&to)[few_outs], int i) {
#pragma unroll
    for (int o = 0; o < few_outs; o++) to[o].load(all, starts[o] + i);
  };
  // A lane's quants of one row are many, so that lanes would read x far apart: it is staged in shared memory instead.
  constexpr bool is_staged = chunk<W>::scaled && R == 1;
  DYNAMIC_SHARED(float, staged);
  // Padded, so that eight lanes read different banks.
  const auto place = [](int n) { return n + n / 32 * 4; };
  const int step = blockDim.x * count;
  chunk<W> next[few_outs];
  if (static_cast<int>(threadIdx.x) * count < width) load(next, threadIdx.x * count);
  await_launches();
  // Many blocks keep the device busy: the next launch may then start only when these are nearly done.
  const bool is_short = gridDim.x <= short_grid;
  if (is_short) release_launches();
  const auto prepared = end.prepare(row + min(static_cast<int>(threadIdx.x), R - 1), rows);
  for (int start = 0; start < width; start += step) {
    const int i = start + threadIdx.x * count;
    if constexpr (is_staged) {
      if (start > 0) __syncthreads();
      const float* from = x + static_cast<size_t>(row) * width + start;
      for (int n = threadIdx.x * 4; n < min(step, width - start); n += blockDim.x * 4) {
        float4 four = *reinterpret_cast<const float4*>(from + n);
        if constexpr (NORM) {
          const float4 by = *reinterpret_cast<const float4*>(gain + start + n);
          squares[0] += four.x * four.x + four.y * four.y + four.z * four.z + four.w * four.w;
          four.x *= by.x, four.y *= by.y, four.z *= by.z, four.w *= by.w;
        }
        *reinterpret_cast<float4*>(staged + place(n)) = four;
      }
      __syncthreads();
    }
    if (i >= width) continue;
    chunk<W> now[few_outs];
#pragma unroll
    for (int o = 0; o < few_outs; o++) now[o] = next[o];
    // The next loads are in flight during the arithmetic on these.
    if (i + step < width) load(next, i + step);
    float dot[few_outs][R], whole[R];
#pragma unroll
    for (int r = 0; r < R; r++) {
      whole[r] = 0.0f;
#pragma unroll
      for (int o = 0; o < few_outs; o++) dot[o][r] = chunk<W>::scaled ? 0.0f : sum[o][r];
    }
#pragma unroll
    for (int piece = 0; piece < count / size; piece++) {
      float w[few_outs][size];
#pragma unroll
      for (int o = 0; o < few_outs; o++) now[o].unpack(piece, w[o]);
      const int from = i + chunk<W>::at(piece);
#pragma unroll
      for (int n = 0; n < size; n += 4) {
        float4 by = {1.0f, 1.0f, 1.0f, 1.0f};
        if constexpr (NORM && !is_staged) by = *reinterpret_cast<const float4*>(gain + from + 4 * n);
#pragma unroll
        for (int r = 0; r < R; r++) {
          float4 four;
          if constexpr (is_staged) {
            four = *reinterpret_cast<const float4*>(staged + place(from - start + 4 * n));
          } else {
            four = *reinterpret_cast<const float4*>(x + static_cast<size_t>(min(row + r, rows - 1)) * width + from +
                                                    4 * n);
            if constexpr (NORM) {
              squares[r] += four.x * four.x + four.y * four.y + four.z * four.z + four.w * four.w;
              four.x *= by.x, four.y *= by.y, four.z *= by.z, four.w *= by.w;
            }
          }
          if (chunk<W>::scaled) whole[r] += (four.x + four.y) + (four.z + four.w);
#pragma unroll
          for (int o = 0; o < few_outs; o++) {
            dot[o][r] += w[o][n] * four.x + w[o][n + 1] * four.y + w[o][n + 2] * four.z + w[o][n + 3] * four.w;
          }
        }
      }
    }
#pragma unroll
    for (int o = 0; o < few_outs; o++) {
#pragma unroll
      for (int r = 0; r < R; r++)
        sum[o][r] = chunk<W>::scaled ? sum[o][r] + now[o].value(dot[o][r], whole[r]) : dot[o][r];
    }
  }
  if (!is_short) release_launches();
#pragma unroll
  for (int r = 0; r < R; r++) {
#pragma unroll
    for (int o = 0; o < few_outs + NORM; o++) {
      const float total = warp_sum(o < few_outs ? sum[o < few_outs ? o : 0][r] : squares[r]);
      if (lane() == 0) room[warp()][r * (few_outs + NORM) + o] = total;
    }
  }
  __syncthreads();
  if (threadIdx.x >= R || row + static_cast<int>(threadIdx.x) >= rows) return;
  float totals[few_outs + NORM];
#pragma unroll
  for (int o = 0; o < few_outs + NORM; o++) {
    totals[o] = 0.0f;
    for (int w = 0; w < warps(); w++) totals[o] += room[w][threadIdx.x * (few_outs + NORM) + o];
  }
  const float by = NORM ? 1.0f / sqrtf(totals[few_outs + NORM - 1] / static_cast<float>(width) + epsilon) : 1.0f;
  float results[few_outs];
#pragma unroll
  for (int o = 0; o < few_outs; o++) results[o] = totals[o] * by;
  end(row + threadIdx.x, results, prepared);
}
