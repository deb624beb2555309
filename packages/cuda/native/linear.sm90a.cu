// linear for compute capability 9.0 and many rows: `linear_hopper_*`, tiles of 128 rows by 256 outputs. Two warpgroups
// multiply 64 rows each; four warps only copy, through four stages of 64 numbers of the width. The activations have
// been rounded to 16 bits. Grid (rows / 128, outs / 256): neighbouring blocks share weights. Width and outputs are
// multiples of 8. In machine code for other devices these kernels are empty.
#include "warpgroup.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
constexpr int tile_rows = 128, tile_outs = 256, depth = 64, stages = 4, consumers = 256;
constexpr int row_bytes = tile_rows * depth * 2, stage_bytes = row_bytes + tile_outs * depth * 2;

__device__ inline unsigned full(unsigned barriers, int stage) { return barriers + stage * 16; }
__device__ inline unsigned empty(unsigned barriers, int stage) { return barriers + stage * 16 + 8; }

__device__ void copy_tiles(const uint16_t* x, const uint16_t* weight, unsigned room, unsigned barriers, int rows,
                           int width, int outs) {
  constexpr int step = 16;
  const int thread = threadIdx.x - consumers, chunk = thread % 8, row = thread / 8, steps = (width + depth - 1) / depth;
  const int first_row = blockIdx.x * tile_rows, first_out = blockIdx.y * tile_outs;
  for (int i = 0; i < steps; i++) {
    const int stage = i % stages, at = i * depth + chunk * 8;
    await(empty(barriers, stage), (i / stages & 1) ^ 1);
    // 16 rows are 2048 bytes apart.
    const unsigned to = room + stage * stage_bytes + place_in_panels(tile_rows, row, chunk);
    const bool there = at < width;
    const size_t column = there ? at : 0;
#pragma unroll
    for (int n = 0; n < tile_rows; n += step)
      copy16(to + n * 128, x + static_cast<size_t>(min(first_row + row + n, rows - 1)) * width + column, there);
#pragma unroll
    for (int n = 0; n < tile_outs; n += step) {
      copy16(to + row_bytes + n * 128,
             weight + static_cast<size_t>(min(first_out + row + n, outs - 1)) * width + column, there);
    }
    arrive_after_copies(full(barriers, stage));
  }
}

template <typename T>
__device__ void multiply_tiles(unsigned room, unsigned barriers, const float* bias, const float* residual, float* out,
                               int rows, int width, int outs) {
  const int group = threadIdx.x / 128, steps = (width + depth - 1) / depth;
  float sums[tile_outs / 2];
  for (int i = 0; i < steps; i++) {
    const int stage = i % stages;
    await(full(barriers, stage), i / stages & 1);
    show_tensor_cores();
    const unsigned own = room + stage * stage_bytes;
    begin_products();
#pragma unroll
    for (int k = 0; k < depth / 16; k++)
      products(sums, panels(own + group * 64 * 128 + k * 32), panels(own + row_bytes + k * 32), i + k > 0, T{});
    commit_products();
    await_products<1>();
    if (i > 0 && lane() == 0) arrive(empty(barriers, (i - 1) % stages));
  }
  await_products<0>();
  settle(sums);
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int r = blockIdx.x * tile_rows + group * 64 + warp() % 4 * 16 + half * 8 + lane() / 4;
    if (r >= rows) continue;
#pragma unroll
    for (int n = 0; n < tile_outs / 8; n++) {
      const int o = blockIdx.y * tile_outs + n * 8 + lane() % 4 * 2;
      if (o >= outs) break;
      float2 sum = {sums[4 * n + 2 * half], sums[4 * n + 2 * half + 1]};
      if (bias) sum.x += bias[o], sum.y += bias[o + 1];
      const size_t at = static_cast<size_t>(r) * outs + o;
      if (residual) {
        const float2 more = *reinterpret_cast<const float2*>(residual + at);
        sum.x += more.x, sum.y += more.y;
      }
      *reinterpret_cast<float2*>(out + at) = sum;
    }
  }
}

template <typename T>
__device__ void linear_hopper(const uint16_t* x, const uint16_t* weight, const float* bias, const float* residual,
                              float* out, int rows, int width, int outs) {
  extern __shared__ __align__(1024) char shared[];
  const unsigned room = (shared_address(shared) + 1023) & ~1023u, barriers = room + stages * stage_bytes;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < stages; stage++) {
      make_barrier(full(barriers, stage), 128);
      make_barrier(empty(barriers, stage), consumers / 32);
    }
  }
  __syncthreads();
  if (threadIdx.x >= consumers) {
    fewer_registers<40>();
    copy_tiles(x, weight, room, barriers, rows, width, outs);
  } else {
    more_registers<232>();
    multiply_tiles<T>(room, barriers, bias, residual, out, rows, width, outs);
  }
}
#define MULTIPLY(TYPE) linear_hopper<TYPE>(x, weight, bias, residual, out, rows, width, outs)
#else
#define MULTIPLY(TYPE)
#endif

#define LINEAR_HOPPER(TYPE)                                                                                     \
  extern "C" __global__ void __launch_bounds__(384, 1)                                                          \
      linear_hopper_##TYPE(const uint16_t* x, const uint16_t* weight, const float* bias, const float* residual, \
                           float* out, int rows, int width, int outs) {                                         \
    begin();                                                                                                    \
    MULTIPLY(TYPE);                                                                                             \
  }
LINEAR_HOPPER(f16)
LINEAR_HOPPER(bf16)
