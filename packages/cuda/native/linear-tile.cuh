// Matrix products on tensor cores for `linear`: tiles of weights and activations in shared memory, in a ring of stages
// that is filled asynchronously.
#pragma once
#include "quant.cuh"
#include "tensor-core.cuh"

constexpr int tile_outs = 128;

/**
 * A tile of ROWS x DEPTH 16-bit numbers. The 16-byte chunks of a row are permuted, so that the same chunk of eight rows
 * is in different banks.
 */
template <int ROWS, int DEPTH>
struct dense_tile {
  static constexpr int bytes = ROWS * DEPTH * 2, chunks = DEPTH / 8;
  static __device__ int place(int row, int chunk) {
    const int turn = chunks == 4 ? row >> 1 & 3 : row & 7;
    return row * DEPTH * 2 + (chunk ^ turn) * 16;
  }
  /**
   * Copies rows from `first` on of a matrix [count, width], numbers from `k` on; numbers from `end` on become zeros.
   * Rows beyond the last repeat the last.
   */
  template <int THREADS>
  static __device__ void copy(unsigned to, const uint16_t* matrix, int first, int count, int width, int k, int end) {
#pragma unroll
    for (int i = 0; i < ROWS * chunks / THREADS; i++) {
      const int n = i * THREADS + threadIdx.x, row = n / chunks, chunk = n % chunks, at = k + chunk * 8;
      const bool there = at < end;
      copy16(to + place(row, chunk),
             matrix + static_cast<size_t>(min(first + row, count - 1)) * width + (there ? at : 0), there);
    }
  }
  /** Loads 16 x 16 numbers from `row` on as the first factor. */
  static __device__ void rows16(unsigned (&a)[4], unsigned tile, int row, int step) {
    load_matrices(a, tile + place(row + (lane() & 15), 2 * step + (lane() >> 4)));
  }
  /** Loads 16 x 16 numbers from `row` on as the second factors of two products: b[0], b[1] and b[2], b[3]. */
  static __device__ void columns16(unsigned (&b)[4], unsigned tile, int row, int step) {
    load_matrices(b, tile + place(row + (lane() & 7) + (lane() >> 4) * 8, 2 * step + (lane() >> 3 & 1)));
  }
};

/** Weights of 16 bits. */
template <typename W, int DEPTH>
struct weight_tile : dense_tile<tile_outs, DEPTH> {
  using number = W;
  const uint16_t* matrix;
  int outs, width;
  __device__ weight_tile(const void* at, int outs, int width)
      : matrix(static_cast<const uint16_t*>(at)), outs(outs), width(width) {}
  template <int THREADS>
  __device__ void copy(unsigned to, int first, int k, int end) const {
    dense_tile<tile_outs, DEPTH>::template copy<THREADS>(to, matrix, first, outs, width, k, end);
  }
  template <int TILES>
  struct scales {};
  template <int TILES>
  __device__ void load(scales<TILES>&, int, int, int) const {}
  template <int TILES>
  __device__ void rows16(unsigned (&a)[4], unsigned tile, int row, int step, const scales<TILES>&, int) const {
    dense_tile<tile_outs, DEPTH>::rows16(a, tile, row, step);
  }
};

/**
 * Quantised weights, which become f16 on the way to the tensor cores. The numbers of a step of 16 are reordered, so
 * that the four weights of a lane are adjacent: places 2t, 2t + 1, 2t + 8 and 2t + 9 hold numbers 4t to 4t + 3.
 * `linear_round_quantised` puts the activations into the same order.
 */
template <typename W, int BYTES>
struct quant_tile {
  using number = f16;
  static constexpr int depth = 64, blocks = depth / block_size, row_bytes = BYTES * blocks;
  // The padding puts eight rows into different banks.
  static constexpr int stride = row_bytes + 16, bytes = tile_outs * stride;
  weights<W> all;
  int outs, width;
  __device__ quant_tile(const void* at, int outs, int width) : all(at, outs, width), outs(outs), width(width) {}
  template <int THREADS>
  __device__ void copy(unsigned to, int first, int k, int end) const {
    constexpr int chunks = row_bytes / 16, per_chunk = depth / chunks;
#pragma unroll
    for (int i = 0; i < tile_outs * chunks / THREADS; i++) {
      const int n = i * THREADS + threadIdx.x, row = n / chunks, chunk = n % chunks, at = k + chunk * per_chunk;
      const bool there = at < end;
      const size_t index = static_cast<size_t>(min(first + row, outs - 1)) * width + (there ? at : 0);
      copy16(to + row * stride + chunk * 16,
             all.quants + index / block_size * BYTES + (BYTES == 32 ? index % block_size : 0), there);
    }
  }
  template <int TILES>
  struct scales {
    f16 scale[TILES][2][blocks];
    f16 minimum[TILES][2][blocks];
  };
  /** Loads the scales of the rows that this lane reads, for numbers from `k` on. */
  template <int TILES>
  __device__ void load(scales<TILES>& to, int first, int k, int end) const {
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const size_t row =
            static_cast<size_t>(min(first + tile * 16 + half * 8 + lane() / 4, outs - 1)) * (width / block_size);
#pragma unroll
        for (int block = 0; block < blocks; block++) {
          // Activations past the end are 0, so any finite scale is correct.
          const size_t index = row + min(k + block * block_size, end - block_size) / block_size;
          to.scale[tile][half][block] = all.scales[index];
          if constexpr (std::is_same_v<W, q4_1>) to.minimum[tile][half][block] = all.minimums[index];
        }
      }
    }
  }
  template <int TILES>
  __device__ void rows16(unsigned (&a)[4], unsigned tile, int row, int step, const scales<TILES>& by, int index) const {
    const int block = step / 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const unsigned start =
          tile + (row + half * 8 + lane() / 4) * stride + block * BYTES + (BYTES == 32 ? step % 2 * 16 : 0);
      const unsigned word = word_at(start + lane() % 4 * 4);
      const __half2 scale = __half2half2(by.scale[index][half][block]);
      __half2 first, second;
      if constexpr (BYTES == 32) {
        // With the sign bit flipped: 1024 + 128 + quant.
        const unsigned biased = word ^ 0x80808080u;
        const __half2 bias = __float2half2_rn(-1152.0f);
        first = __hadd2(halves(low_bytes(biased)), bias);
        second = __hadd2(halves(high_bytes(biased)), bias);
      } else {
        const float zero = std::is_same_v<W, q4_0> ? 8.0f : 0.0f;
        if (step % 2 == 0) {
          const __half2 bias = __float2half2_rn(-1024.0f - zero);
          first = __hadd2(halves(low_bytes(word) & 0x640f640fu), bias);
          second = __hadd2(halves(high_bytes(word) & 0x640f640fu), bias);
        } else {
          // 1024 + 16 x quant.
          const __half2 sixteenth = __float2half2_rn(0.0625f), bias = __float2half2_rn(-64.0f - zero);
          first = __hfma2(halves(low_bytes(word) & 0x64f064f0u), sixteenth, bias);
          second = __hfma2(halves(high_bytes(word) & 0x64f064f0u), sixteenth, bias);
        }
      }
      if constexpr (std::is_same_v<W, q4_1>) {
        const __half2 minimum = __half2half2(by.minimum[index][half][block]);
        a[half] = bits_of(__hfma2(first, scale, minimum));
        a[half + 2] = bits_of(__hfma2(second, scale, minimum));
      } else {
        a[half] = bits_of(__hmul2(first, scale));
        a[half + 2] = bits_of(__hmul2(second, scale));
      }
    }
  }
};
template <>
struct weight_tile<q8_0, 64> : quant_tile<q8_0, 32> {
  using quant_tile::quant_tile;
};
template <>
struct weight_tile<q4_0, 64> : quant_tile<q4_0, 16> {
  using quant_tile::quant_tile;
};
template <>
struct weight_tile<q4_1, 64> : quant_tile<q4_1, 16> {
  using quant_tile::quant_tile;
};

/**
 * Computes a tile of 128 outputs by ROWS rows, with warps of WARP_OUTS x WARP_ROWS. Each blockIdx.z takes `part`
 * numbers of the width. `x` holds 16-bit numbers. Calls store(row, out, sum) for each result.
 */
template <typename W, int ROWS, int DEPTH, int WARP_OUTS, int WARP_ROWS, int STAGES, typename Store>
__device__ void linear_tile(const uint16_t* x, const void* matrix, int rows, int width, int outs, int part,
                            Store store) {
  constexpr int threads = tile_outs / WARP_OUTS * (ROWS / WARP_ROWS) * 32, out_tiles = WARP_OUTS / 16,
                row_tiles = WARP_ROWS / 8;
  using source = weight_tile<W, DEPTH>;
  using number = typename source::number;
  using activations = dense_tile<ROWS, DEPTH>;
  constexpr int stage_bytes = source::bytes + activations::bytes;
  DYNAMIC_SHARED(char, room);
  const unsigned base = shared_address(room);
  const source weight(matrix, outs, width);
  const int first_row = blockIdx.x * ROWS, first_out = blockIdx.y * tile_outs;
  const int begin = blockIdx.z * part, end = min(begin + part, width), steps = (end - begin + DEPTH - 1) / DEPTH;
  const int warp_out = warp() / (ROWS / WARP_ROWS) * WARP_OUTS, warp_row = warp() % (ROWS / WARP_ROWS) * WARP_ROWS;
  const auto fill = [&](int stage, int step) {
    const unsigned to = base + stage * stage_bytes;
    weight.template copy<threads>(to, first_out, begin + step * DEPTH, end);
    activations::template copy<threads>(to + source::bytes, x, first_row, rows, width, begin + step * DEPTH, end);
  };

  float sums[out_tiles][row_tiles][4];
#pragma unroll
  for (int o = 0; o < out_tiles; o++) {
#pragma unroll
    for (int r = 0; r < row_tiles; r++) sums[o][r][0] = sums[o][r][1] = sums[o][r][2] = sums[o][r][3] = 0.0f;
  }
#pragma unroll
  for (int stage = 0; stage < STAGES - 1; stage++) {
    if (stage < steps) fill(stage, stage);
    commit_copies();
  }
  typename source::template scales<out_tiles> scales, next;
  weight.load(next, first_out + warp_out, begin, end);
  int stage = 0;
  for (int i = 0; i < steps; i++) {
    await_copies<STAGES - 2>();
    __syncthreads();
    // Refill the stage that all warps have just finished.
    if (i + STAGES - 1 < steps) fill(stage == 0 ? STAGES - 1 : stage - 1, i + STAGES - 1);
    commit_copies();
    scales = next;
    if (i + 1 < steps) weight.load(next, first_out + warp_out, begin + (i + 1) * DEPTH, end);
    const unsigned tile = base + stage * stage_bytes;
#pragma unroll
    for (int step = 0; step < DEPTH / 16; step++) {
      unsigned a[out_tiles][4], b[row_tiles / 2][4];
#pragma unroll
      for (int r = 0; r < row_tiles / 2; r++)
        activations::columns16(b[r], tile + source::bytes, warp_row + r * 16, step);
#pragma unroll
      for (int o = 0; o < out_tiles; o++) weight.rows16(a[o], tile, warp_out + o * 16, step, scales, o);
#pragma unroll
      for (int o = 0; o < out_tiles; o++) {
#pragma unroll
        for (int r = 0; r < row_tiles; r++)
          multiply(sums[o][r], a[o], b[r / 2][r % 2 * 2], b[r / 2][r % 2 * 2 + 1], number{});
      }
    }
    stage = stage + 1 == STAGES ? 0 : stage + 1;
  }
#pragma unroll
  for (int o = 0; o < out_tiles; o++) {
#pragma unroll
    for (int r = 0; r < row_tiles; r++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int out = first_out + warp_out + o * 16 + lane() / 4 + i / 2 * 8,
                  row = first_row + warp_row + r * 8 + lane() % 4 * 2 + i % 2;
        if (out < outs && row < rows) store(row, out, sums[o][r][i]);
      }
    }
  }
}
