// topk: the rows with the highest scores of each head, ascending; ties go to the lower position. One block of 1024
// threads per head. The key of a row consists of the ordered bits of its score, then those of its position, inverted.
// All keys differ, so the k greatest form one set. A radix select with eight bits per pass finds the lowest key that is
// kept; it stops early if a whole bin is kept.
#include "select.cuh"

extern "C" __global__ void __launch_bounds__(1024)
    topk(const float* scores, const int* positions, const int* offset, const int* length, const int* keep, int* rows,
         int* count, int capacity, int most) {
  begin();
  __shared__ unsigned bins[256];
  __shared__ digit room;
  __shared__ int counts[32];
  const int h = blockIdx.x, n = min(length[h], capacity), k = max(0, min(min(keep[h], n), most));
  const float* score = scores + static_cast<size_t>(h) * capacity;
  const int* position = positions + offset[h];
  if (threadIdx.x == 0) count[h] = k;
  if (k == 0) return;
  rows += static_cast<size_t>(h) * most;

  u64 least = 0, mask = 0;
  constexpr int ahead = 8;
  /** Loads the keys of `ahead` rows, `step` apart, with overlapping loads; rows from `end` on get 0, which no row has.
   */
  const auto load = [&](u64(&keys)[ahead], int row, int step, int end, bool whole) {
#pragma unroll
    for (int i = 0; i < ahead; i++, row += step) {
      keys[i] = row < end ? static_cast<u64>(ordered(score[row])) << 32 |
                                (whole ? ~(static_cast<unsigned>(position[row]) ^ 0x80000000u) : 0xffffffffu)
                          : 0;
    }
  };
  if (k < n) {
    u64 need = k;
    for (int shift = 56; shift >= 0; shift -= 8) {
      for (int i = threadIdx.x; i < 256; i += blockDim.x) bins[i] = 0;
      __syncthreads();
      for (int row = threadIdx.x; row < n; row += ahead * blockDim.x) {
        u64 keys[ahead];
        load(keys, row, blockDim.x, n, shift < 32);
#pragma unroll
        for (int i = 0; i < ahead; i++) {
          if (keys[i] != 0 && (keys[i] & mask) == least) atomicAdd(&bins[keys[i] >> shift & 255], 1u);
        }
      }
      const digit found = reach(bins, need, &room);
      need -= found.before;
      least |= static_cast<u64>(found.value) << shift;
      mask |= 255ull << shift;
      if (found.within == need) break;
    }
  }

  const bool whole = (mask & 0xffffffffull) != 0;
  const run own(n);
  const auto stays = [&](u64 key) { return key != 0 && (key & mask) >= least; };
  int found = 0, total;
  u64 keys[ahead];
  for (int first = own.begin; first < own.end; first += 32 * ahead) {
    load(keys, first + lane(), 32, own.end, whole);
#pragma unroll
    for (int i = 0; i < ahead; i++) found += __popc(__ballot_sync(all_lanes, stays(keys[i])));
  }
  int place = before_warp(found, counts, &total);
  for (int first = own.begin; first < own.end; first += 32 * ahead) {
    load(keys, first + lane(), 32, own.end, whole);
#pragma unroll
    for (int i = 0; i < ahead; i++) {
      const bool kept = stays(keys[i]);
      const unsigned ballot = __ballot_sync(all_lanes, kept);
      const int at = place + __popc(ballot & ((1u << lane()) - 1));
      if (kept && at < k) rows[at] = first + 32 * i + lane();
      place += __popc(ballot);
    }
  }
}
