// apportion: how many rows each head of a sequence gets. One block of 1024 threads a sequence.
// The least score key that gets in is found bit by bit: the greatest threshold under which the heads, each between its
// limits, still hold enough rows. Of the rows on the threshold the lowest positions get in, found in the same way, and
// at the last position the lower heads.
#include "common.cuh"

/** The rows of one sequence, and how many of them are good enough. */
struct contest {
  const float* scores;
  const int *positions, *offset, *length;
  int capacity, heads, least, most;
  int* room;

  __device__ int held(int head) const { return clamp(length[head], 0, capacity); }
  __device__ int clamped(int head, int wanted) const { return min(min(max(wanted, least), most), held(head)); }

  /** Rows with a key above the threshold, or on it and at a position up to `bound` if ties count. All threads. */
  __device__ int good(int head, unsigned threshold, unsigned bound, bool ties) const {
    const int n = held(head);
    const float* score = scores + static_cast<size_t>(head) * capacity;
    const int* position = positions + offset[head];
    int count = 0;
    for (int row = threadIdx.x; row < n; row += blockDim.x) {
      const unsigned key = ordered(score[row]);
      count += key > threshold ||
               (ties && key == threshold && (static_cast<unsigned>(position[row]) ^ 0x80000000u) <= bound);
    }
    __syncthreads();
    if (threadIdx.x == 0) *room = 0;
    __syncthreads();
#pragma unroll
    for (int step = 16; step > 0; step >>= 1) count += __shfl_xor_sync(all_lanes, count, step);
    if (lane() == 0 && count != 0) atomicAdd(room, count);
    __syncthreads();
    return *room;
  }

  __device__ long long total(unsigned threshold, unsigned bound, bool ties) const {
    long long sum = 0;
    for (int head = 0; head < heads; head++) sum += clamped(head, good(head, threshold, bound, ties));
    return sum;
  }
};

extern "C" __global__ void __launch_bounds__(1024)
    apportion(const float* scores, const int* positions, const int* offset, const int* length, const int* limits,
              int* keep, int kv_heads, int capacity) {
  begin();
  __shared__ int room;
  const int s = blockIdx.x, h = s * kv_heads, rows = limits[3 * s], least = max(limits[3 * s + 1], 0);
  const contest of{scores + static_cast<size_t>(h) * capacity,
                   positions,
                   offset + h,
                   length + h,
                   capacity,
                   kv_heads,
                   least,
                   max(limits[3 * s + 2], least),
                   &room};
  unsigned threshold = 0;
  for (unsigned bit = 0x80000000u; bit != 0; bit >>= 1) {
    if (of.total(threshold | bit, 0xffffffffu, true) >= rows) threshold |= bit;
  }
  // The least bound under which enough get in, if ties are needed at all.
  const bool ties = of.total(threshold, 0, false) < rows;
  unsigned bound = 0;
  if (ties) {
    for (unsigned bit = 0x80000000u; bit != 0; bit >>= 1) {
      if (of.total(threshold, bound | (bit - 1), true) < rows) bound |= bit;
    }
  }
  long long over = of.total(threshold, bound, ties) - rows;
  for (int head = kv_heads - 1; head >= 0; head--) {
    int kept = of.clamped(head, of.good(head, threshold, bound, ties));
    const int before = of.clamped(head, of.good(head, threshold, bound - (bound > 0), ties && bound > 0));
    if (over > 0 && kept > before) kept--, over--;
    if (threadIdx.x == 0) keep[h + head] = kept;
  }
}
