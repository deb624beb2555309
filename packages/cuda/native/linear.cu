// linear: out[r, o] = sum over i of x[r, i] weight[o, i], plus bias and residual, in f32.
// `linear_any_*`: any width and alignment; a warp an output, four rows a block row; grid (outs / 8, rows / 4).
// `linear_few_*_R`: up to R rows (a GEMV, bound by the weights' bytes). A block takes four outputs; its threads walk along the width by 16 bytes of
// weights each, four outputs at a time, so that four loads a thread are in flight; grid (outs / 4, rows / R). Widths are multiples of what 16 bytes
// hold (4, 8, 16, 32 weights), x and weights aligned to 16 bytes.
// `linear_tile_*_R`: tiles of 128 outputs by R rows on tensor cores, activations rounded to 16 bits by `linear_round_*` before; grid (rows / R,
// outs / 128, parts of the width). With more than one part each leaves its sums, and `linear_join` adds them up in their order.
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

/** 16 bytes of a row of weights as f32: how many there are, and loading them. Weights are read once, past the caches that x needs. */
__device__ inline uint4 stream(const void* at) { return __ldcs(static_cast<const uint4*>(at)); }

template <typename W>
struct chunk;
template <>
struct chunk<float> {
  static constexpr int count = 4;
  static __device__ void load(const weights<float>& all, size_t index, float (&w)[4]) {
    const uint4 bits = stream(all.at + index);
    w[0] = __uint_as_float(bits.x), w[1] = __uint_as_float(bits.y), w[2] = __uint_as_float(bits.z), w[3] = __uint_as_float(bits.w);
  }
};
template <>
struct chunk<f16> {
  static constexpr int count = 8;
  static __device__ void load(const weights<f16>& all, size_t index, float (&w)[8]) { unpack8(stream(all.at + index), w, f16{}); }
};
template <>
struct chunk<bf16> {
  static constexpr int count = 8;
  static __device__ void load(const weights<bf16>& all, size_t index, float (&w)[8]) { unpack8(stream(all.at + index), w, bf16{}); }
};
template <>
struct chunk<q8_0> {
  static constexpr int count = 16;
  static __device__ void load(const weights<q8_0>& all, size_t index, float (&w)[16]) {
    const uint4 bits = stream(all.quants + index);
    const float scale = to_f32(all.scales[index / 32]);
    const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 16; i++) w[i] = scale * static_cast<float>(static_cast<int8_t>(words[i / 4] >> (i % 4 * 8)));
  }
};
__device__ inline void nibbles(uint4 bits, float scale, float least, float (&w)[32]) {
  const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 16; i++) {
    const unsigned pair = words[i / 4] >> (i % 4 * 8);
    w[i] = scale * static_cast<float>(pair & 15) + least;
    w[i + 16] = scale * static_cast<float>(pair >> 4 & 15) + least;
  }
}
template <>
struct chunk<q4_0> {
  static constexpr int count = 32;
  static __device__ void load(const weights<q4_0>& all, size_t index, float (&w)[32]) {
    const float scale = to_f32(all.scales[index / 32]);
    nibbles(stream(all.quants + index / 2), scale, -8.0f * scale, w);
  }
};
template <>
struct chunk<q4_1> {
  static constexpr int count = 32;
  static __device__ void load(const weights<q4_1>& all, size_t index, float (&w)[32]) {
    nibbles(stream(all.quants + index / 2), to_f32(all.scales[index / 32]), to_f32(all.minimums[index / 32]), w);
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
  for (int i = threadIdx.x * count; i < width; i += blockDim.x * count) {
    float w[few_outs][count];
#pragma unroll
    for (int o = 0; o < few_outs; o++) chunk<W>::load(all, static_cast<size_t>(min(first + o, end.outs - 1)) * width + i, w[o]);
#pragma unroll
    for (int r = 0; r < R; r++) {
      const float* at = x + static_cast<size_t>(min(row + r, rows - 1)) * width + i;
#pragma unroll
      for (int n = 0; n < count; n += 4) {
        const float4 four = *reinterpret_cast<const float4*>(at + n);
#pragma unroll
        for (int o = 0; o < few_outs; o++) {
          sum[o][r] += w[o][n] * four.x + w[o][n + 1] * four.y + w[o][n + 2] * four.z + w[o][n + 3] * four.w;
        }
      }
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

#define LINEAR_ANY(NAME, TYPE)                                                                                                          \
  KERNEL linear_any_##NAME(const float* x, const void* weight, const float* bias, const float* residual, float* out, int rows, int width, \
                           int outs) {                                                                                                  \
    linear_any<TYPE>(x, weight, {bias, residual, out, outs}, rows, width);                                                              \
  }
#define LINEAR_FEW(NAME, TYPE, R)                                                                                                             \
  extern "C" __global__ void __launch_bounds__(256)                                                                                           \
      linear_few_##NAME##_##R(const float* x, const void* weight, const float* bias, const float* residual, float* out, int rows, int width,  \
                              int outs) {                                                                                                     \
    linear_few<TYPE, R>(x, weight, {bias, residual, out, outs}, rows, width);                                                                 \
  }
#define LINEAR(NAME, TYPE) LINEAR_ANY(NAME, TYPE) LINEAR_FEW(NAME, TYPE, 1) LINEAR_FEW(NAME, TYPE, 2) LINEAR_FEW(NAME, TYPE, 4) LINEAR_FEW(NAME, TYPE, 8)
EACH_WEIGHT(LINEAR)

/** Eight numbers a thread. */
template <typename T>
__device__ void linear_round(const float* x, uint4* to, int eights) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= eights) return;
  float numbers[8];
  load8(x + 8 * static_cast<size_t>(i), numbers);
  to[i] = pack8<T>(numbers);
}
KERNEL linear_round_f16(const float* x, uint4* to, int eights) { linear_round<f16>(x, to, eights); }
KERNEL linear_round_bf16(const float* x, uint4* to, int eights) { linear_round<bf16>(x, to, eights); }
/** 16 numbers a thread, in the order of quant_tile. */
KERNEL linear_round_quantised(const float* x, uint4* to, int sixteens) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= sixteens) return;
  float low[8], high[8];
  load8(x + 16 * static_cast<size_t>(i), low);
  load8(x + 16 * static_cast<size_t>(i) + 8, high);
  to[2 * i] = pack8<f16>({low[0], low[1], low[4], low[5], high[0], high[1], high[4], high[5]});
  to[2 * i + 1] = pack8<f16>({low[2], low[3], low[6], low[7], high[2], high[3], high[6], high[7]});
}

KERNEL linear_join(const float* parts, const float* bias, const float* residual, float* out, int rows, int outs, int splits) {
  const size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x, count = static_cast<size_t>(rows) * outs;
  if (i >= count) return;
  float sum = 0.0f;
  for (int part = 0; part < splits; part++) sum += parts[part * count + i];
  finish{bias, residual, out, outs}(i / outs, static_cast<int>(i % outs), sum);
}

#define LINEAR_TILE(NAME, TYPE, ROWS, DEPTH, WARP_OUTS, WARP_ROWS, STAGES, THREADS, BLOCKS)                                                  \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)                                                                              \
      linear_tile_##NAME##_##ROWS(const uint16_t* x, const void* weight, const float* bias, const float* residual, float* out, float* parts, \
                                  int rows, int width, int outs, int part) {                                                                 \
    const finish end = {bias, residual, out, outs};                                                                                          \
    const bool whole = gridDim.z == 1;                                                                                                       \
    linear_tile<TYPE, ROWS, DEPTH, WARP_OUTS, WARP_ROWS, STAGES>(x, weight, rows, width, outs, part, [=](int r, int o, float sum) {          \
      if (whole) end(r, o, sum);                                                                                                             \
      else parts[(static_cast<size_t>(blockIdx.z) * rows + r) * outs + o] = sum;                                                             \
    });                                                                                                                                      \
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
