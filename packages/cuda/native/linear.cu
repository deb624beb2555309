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
#include "linear-few.cuh"
#include "linear-tile.cuh"

/** Stores a sum with bias and residual. */
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

/** The outputs of a block of linear_few: four in a row. */
struct few_finish {
  finish end;
  __device__ int out(int i) const { return min(static_cast<int>(blockIdx.x) * few_outs + i, end.outs - 1); }
  __device__ nothing prepare(int, int) const { return {}; }
  __device__ void operator()(int r, const float (&sums)[few_outs], nothing) const {
    for (int i = 0; i < few_outs; i++) {
      const int o = blockIdx.x * few_outs + i;
      if (o < end.outs) end(r, o, sums[i]);
    }
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

#define LINEAR_ANY(NAME, TYPE)                                                                                       \
  KERNEL linear_any_##NAME(const float* x, const void* weight, const float* bias, const float* residual, float* out, \
                           int rows, int width, int outs) {                                                          \
    begin();                                                                                                         \
    linear_any<TYPE>(x, weight, {bias, residual, out, outs}, rows, width);                                           \
  }
#define LINEAR_FEW(NAME, TYPE, R)                                                                                     \
  extern "C" __global__ void __launch_bounds__(256, (few_blocks<TYPE, R>))                                            \
      linear_few_##NAME##_##R(const float* x, const void* weight, const float* bias, const float* residual,           \
                              float* out, int rows, int width, int outs) {                                            \
    linear_few<TYPE, R, false>(x, nullptr, 0.0f, weight, few_finish{{bias, residual, out, outs}}, rows, width, outs); \
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
