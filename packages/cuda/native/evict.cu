// evict: compacts the chosen rows of each head in place. One block of 1024 threads per head. Rows of K and V move as
// 4-byte words (at most 256 words, so head sizes up to 256), whatever their dtype.
// Without `ordered`, survivors beyond the new length move into the holes below it. No source is a target, so all moves
// run at once. With `ordered`, row rows[i] moves to place i. As rows[i] >= i, tiles move in ascending order, and each
// tile is read completely before it is written.
#include "common.cuh"

/** The k-th non-negative integer that is not among the n ascending `rows`. */
__device__ inline int missing(const int* rows, int n, int k) {
  int low = 0, high = n;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (rows[middle] - middle > k) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return k + low;
}

constexpr int words_a_lane = 8;

struct words {
  unsigned at[words_a_lane];
  __device__ void load(const unsigned* from, int count) {
#pragma unroll
    for (int i = 0; i < words_a_lane; i++) at[i] = lane() + 32 * i < count ? from[lane() + 32 * i] : 0;
  }
  __device__ void store(unsigned* to, int count) const {
#pragma unroll
    for (int i = 0; i < words_a_lane; i++) {
      if (lane() + 32 * i < count) to[lane() + 32 * i] = at[i];
    }
  }
};

extern "C" __global__ void __launch_bounds__(1024)
    evict(unsigned* keys, unsigned* values, int* cells, const int* offset, int* length, const int* rows,
          const int* count, const int* ended, int kv_heads, int most, int row_words, int arena_rows, int planes,
          int ordered, int ranks) {
  begin();
  const int h = blockIdx.x, n = length[h], c = count[h];
  if (ended[h / kv_heads] != 0 || c >= n) return;
  rows += static_cast<size_t>(h) * most;
  const size_t start = offset[h];
  cells += start;

  if (ranks) {
    __shared__ int tile[1024];
    int* rank = cells + arena_rows;
    for (int first = 0; first < c; first += blockDim.x) {
      const int i = first + threadIdx.x;
      const int own = i < c ? rank[rows[i]] : 0;
      int lower = 0;
      for (int k = 0; k < n - c; k += blockDim.x) {
        __syncthreads();
        if (k + static_cast<int>(threadIdx.x) < n - c) tile[threadIdx.x] = rank[missing(rows, c, k + threadIdx.x)];
        __syncthreads();
        const int here = min(static_cast<int>(blockDim.x), n - c - k);
        for (int j = 0; j < here; j++) lower += tile[j] < own;
      }
      if (i < c) rank[rows[i]] = own - lower;
    }
    __syncthreads();
  }

  if (!ordered) {
    int below = 0, high = c;
    while (below < high) {
      const int middle = (below + high) / 2;
      if (rows[middle] < c) {
        below = middle + 1;
      } else {
        high = middle;
      }
    }
    for (int i = warp(); i < c - below; i += warps()) {
      const size_t from = rows[below + i], to = missing(rows, below, i);
      for (int j = lane(); j < row_words; j += 32) {
        keys[(start + to) * row_words + j] = keys[(start + from) * row_words + j];
        values[(start + to) * row_words + j] = values[(start + from) * row_words + j];
      }
      for (int plane = lane(); plane < planes; plane += 32) {
        const size_t at = static_cast<size_t>(plane) * arena_rows;
        cells[at + to] = cells[at + from];
      }
    }
  } else {
    const int first = missing(rows, c, 0);
    for (int tile = first; tile < c; tile += warps()) {
      const int i = tile + warp();
      words key, value;
      if (i < c) {
        key.load(keys + (start + rows[i]) * row_words, row_words);
        value.load(values + (start + rows[i]) * row_words, row_words);
      }
      __syncthreads();
      if (i < c) {
        key.store(keys + (start + i) * row_words, row_words);
        value.store(values + (start + i) * row_words, row_words);
      }
    }
    for (int plane = 0; plane < planes; plane++) {
      int* row = cells + static_cast<size_t>(plane) * arena_rows;
      for (int tile = first; tile < c; tile += blockDim.x) {
        const int i = tile + threadIdx.x;
        const int cell = i < c ? row[rows[i]] : 0;
        __syncthreads();
        if (i < c) row[i] = cell;
      }
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) length[h] = c;
}
