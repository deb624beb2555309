// linear: out[r, o] = sum over i of x[r, i] weight[o, i], plus bias and residual, in f32.
// `linear_any_*`: any width and alignment. One warp per output, four rows per block row; grid (outs / 8, rows / 4).
// `linear_few_*_R`: a GEMV for up to R rows, bound by the bytes of the weights. A block computes four outputs. Its
// threads walk along the width by 16 bytes of weights each, for four outputs at a time, so that each thread has four
// loads in flight. Grid (outs / 4, rows / R). The width is a multiple of the weights in 16 bytes (4, 8, 16 or 32); x
// and weights are aligned to 16 bytes.
// `linear_tile_*_R`: tiles of 128 outputs by R rows on tensor cores, after `linear_round_*` has rounded the activations
// to 16 bits. Grid (rows / R, outs / 128, parts of the width). If the width is split, each part stores its sums, and
// `linear_join` adds them in order.
#include <type_traits>
#include "linear-tile.cuh"

struct finish {
  const float* bias;
  const float* residual;
  float* out;
  int outs;
  __device__ void operator()(size_t r, int o, float sum) const {
    if (bias) sum += bias[o];
    if (residual) sum += residual[r * outs + o];
    out[r * outs + o] = sum;
  }
};

template <typename W>
__device__ void linear_any(const float* x, const void* matrix, finish end, int rows, int width) {
  const int o = blockIdx.x * 8 + warp(), first = blockIdx.y * 4;
  if (o >= end.outs) return;
  const weights<W> all(matrix, end.outs, width);
  float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  for (int i = lane(); i < width; i += 32) {
    const float w = all.get(static_cast<size_t>(o) * width + i);
#pragma unroll
    for (int r = 0; r < 4; r++) {
      if (first + r < rows) sum[r] += w * x[static_cast<size_t>(first + r) * width + i];
    }
  }
#pragma unroll
  for (int r = 0; r < 4; r++) {
    sum[r] = warp_sum(sum[r]);
    if (lane() == 0 && first + r < rows) end(first + r, o, sum[r]);
  }
}

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

template <typename W, int R>
__device__ void linear_few(const float* x, const void* matrix, finish end, int rows, int width) {
  constexpr int count = chunk<W>::count;
  __shared__ float room[8][few_outs * R];
  const weights<W> all(matrix, end.outs, width);
  const int first = blockIdx.x * few_outs, row = blockIdx.y * R;
  float sum[few_outs][R];
#pragma unroll
  for (int o = 0; o < few_outs; o++) {
#pragma unroll
    for (int r = 0; r < R; r++) sum[o][r] = 0.0f;
  }
  const auto load = [&](chunk<W>(&to)[few_outs], int i) {
#pragma unroll
    for (int o = 0; o < few_outs; o++) to[o].load(all, static_cast<size_t>(min(first + o, end.outs - 1)) * width + i);
  };
  const int step = blockDim.x * count;
  int i = threadIdx.x * count;
  chunk<W> next[few_outs];
  if (i < width) load(next, i);
  for (; i < width; i += step) {
    chunk<W> now[few_outs];
#pragma unroll
    for (int o = 0; o < few_outs; o++) now[o] = next[o];
    // The next loads are in flight during the arithmetic on these.
    if (i + step < width) load(next, i + step);
    constexpr int size = chunk<W>::size;
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
#pragma unroll
      for (int r = 0; r < R; r++) {
        const float* at = x + static_cast<size_t>(min(row + r, rows - 1)) * width + i + chunk<W>::at(piece);
#pragma unroll
        for (int n = 0; n < size; n += 4) {
          const float4 four = *reinterpret_cast<const float4*>(at + 4 * n);
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
#pragma unroll
  for (int o = 0; o < few_outs; o++) {
#pragma unroll
    for (int r = 0; r < R; r++) {
      const float total = warp_sum(sum[o][r]);
      if (lane() == 0) room[warp()][o * R + r] = total;
    }
  }
  __syncthreads();
  if (threadIdx.x < few_outs * R) {
    const int o = first + threadIdx.x / R, r = row + threadIdx.x % R;
    float total = 0.0f;
    for (int i = 0; i < warps(); i++) total += room[i][threadIdx.x];
    if (o < end.outs && r < rows) end(r, o, total);
  }
}

#define LINEAR_ANY(NAME, TYPE)                                                                                       \
  KERNEL linear_any_##NAME(const float* x, const void* weight, const float* bias, const float* residual, float* out, \
                           int rows, int width, int outs) {                                                          \
    begin();                                                                                                         \
    linear_any<TYPE>(x, weight, {bias, residual, out, outs}, rows, width);                                           \
  }
#define LINEAR_FEW(NAME, TYPE, R)                                                                           \
  extern "C" __global__ void __launch_bounds__(256)                                                         \
      linear_few_##NAME##_##R(const float* x, const void* weight, const float* bias, const float* residual, \
                              float* out, int rows, int width, int outs) {                                  \
    begin();                                                                                                \
    linear_few<TYPE, R>(x, weight, {bias, residual, out, outs}, rows, width);                               \
  }
#define LINEAR(NAME, TYPE) \
  LINEAR_ANY(NAME, TYPE)   \
  LINEAR_FEW(NAME, TYPE, 1) LINEAR_FEW(NAME, TYPE, 2) LINEAR_FEW(NAME, TYPE, 4) LINEAR_FEW(NAME, TYPE, 8)
EACH_WEIGHT(LINEAR)

/** Rounds eight numbers per thread. */
template <typename T>
__device__ void linear_round(const float* x, uint4* to, int eights) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  float numbers[8];
  load8(x + 8 * static_cast<size_t>(i), numbers);
  to[i] = pack8<T>(numbers);
}
KERNEL linear_round_f16(const float* x, uint4* to, int eights) {
  begin();
  linear_round<f16>(x, to, eights);
}
KERNEL linear_round_bf16(const float* x, uint4* to, int eights) {
  begin();
  linear_round<bf16>(x, to, eights);
}
/** Rounds 16 numbers per thread, in the order of quant_tile. */
KERNEL linear_round_quantised(const float* x, uint4* to, int sixteens) {
  begin();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= sixteens) return;
  float low[8], high[8];
  load8(x + 16 * static_cast<size_t>(i), low);
  load8(x + 16 * static_cast<size_t>(i) + 8, high);
  to[2 * i] = pack8<f16>({low[0], low[1], low[4], low[5], high[0], high[1], high[4], high[5]});
  to[2 * i + 1] = pack8<f16>({low[2], low[3], low[6], low[7], high[2], high[3], high[6], high[7]});
}

KERNEL linear_join(const float* parts, const float* bias, const float* residual, float* out, int rows, int outs,
                   int splits) {
  begin();
  const size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x, count = static_cast<size_t>(rows) * outs;
  if (i >= count) return;
  float sum = 0.0f;
  for (int part = 0; part < splits; part++) sum += parts[part * count + i];
  finish{bias, residual, out, outs}(i / outs, static_cast<int>(i % outs), sum);
}

#define LINEAR_TILE(NAME, TYPE, ROWS, DEPTH, WARP_OUTS, WARP_ROWS, STAGES, THREADS, BLOCKS)                        \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                                                    \
      linear_tile_##NAME##_##ROWS(const uint16_t* x, const void* weight, const float* bias, const float* residual, \
                                  float* out, float* parts, int rows, int width, int outs, int part) {             \
    begin();                                                                                                       \
    const finish end = {bias, residual, out, outs};                                                                \
    const bool whole = gridDim.z == 1;                                                                             \
    linear_tile<TYPE, ROWS, DEPTH, WARP_OUTS, WARP_ROWS, STAGES>(                                                  \
        x, weight, rows, width, outs, part, [=](int r, int o, float sum) {                                         \
          if (whole)                                                                                               \
            end(r, o, sum);                                                                                        \
          else                                                                                                     \
            parts[(static_cast<size_t>(blockIdx.z) * rows + r) * outs + o] = sum;                                  \
        });                                                                                                        \
  }
#define LINEAR_TILES(NAME, TYPE)                     \
  LINEAR_TILE(NAME, TYPE, 16, 64, 32, 16, 4, 128, 2) \
  LINEAR_TILE(NAME, TYPE, 64, 64, 32, 64, 4, 128, 2)
LINEAR_TILES(f16, f16)
LINEAR_TILES(bf16, bf16)
LINEAR_TILES(q8_0, q8_0)
LINEAR_TILES(q4_0, q4_0)
LINEAR_TILES(q4_1, q4_1)
#define LINEAR_WIDE(NAME, TYPE)                       \
  LINEAR_TILE(NAME, TYPE, 32, 64, 32, 32, 4, 128, 2)  \
  LINEAR_TILE(NAME, TYPE, 128, 64, 32, 64, 3, 256, 2) \
  LINEAR_TILE(NAME, TYPE, 256, 32, 64, 64, 4, 256, 1)
LINEAR_WIDE(f16, f16)
LINEAR_WIDE(bf16, bf16)
#define LINEAR_WIDE_QUANTS(NAME, TYPE) LINEAR_TILE(NAME, TYPE, 128, 64, 32, 64, 4, 256, 1)
LINEAR_WIDE_QUANTS(q8_0, q8_0)
LINEAR_WIDE_QUANTS(q4_0, q4_0)
LINEAR_WIDE_QUANTS(q4_1, q4_1)
