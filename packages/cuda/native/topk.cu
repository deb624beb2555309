// topk: the rows of the greatest scores of each head, ascending; ties go to the lower position. One block of 1024 threads a head.
// A row's key is its score's ordered bits, then its position's, inverted: all keys differ, so that the k greatest are one set. A radix select of
// eight bits a pass finds the least key that stays; it stops as soon as a whole bin stays.
#include "select.cuh"

extern "C" __global__ void __launch_bounds__(1024)
    topk(const float* scores, const int* positions, const int* offset, const int* length, const int* keep, int* rows, int* count, int capacity,
            int most) {
  __shared__ u64 bins[256];
  __shared__ digit room;
  __shared__ int counts[32];
  const int h = blockIdx.x, n = min(length[h], capacity), k = max(0, min(min(keep[h], n), most));
  const float* score = scores + static_cast<size_t>(h) * capacity;
  const int* position = positions + offset[h];
  if (threadIdx.x == 0) count[h] = k;
  if (k == 0) return;
  rows += static_cast<size_t>(h) * most;

  u64 least = 0, mask = 0;
  const auto key = [&](int row, bool whole) {
    const u64 high = static_cast<u64>(ordered(score[row])) << 32;
    return whole ? high | ~(static_cast<unsigned>(position[row]) ^ 0x80000000u) : high;
  };
  if (k < n) {
    u64 need = k;
    for (int shift = 56; shift >= 0; shift -= 8) {
      for (int i = threadIdx.x; i < 256; i += blockDim.x) bins[i] = 0;
      __syncthreads();
      for (int row = threadIdx.x; row < n; row += blockDim.x) {
        const u64 bits = key(row, shift < 32);
        if ((bits & mask) == least) atomicAdd(&bins[bits >> shift & 255], 1ull);
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
  const auto stays = [&](int row) { return row < own.end && (key(row, whole) & mask) >= least; };
  int found = 0, total;
  for (int row = own.begin + lane(); row - lane() < own.end; row += 32) found += __popc(__ballot_sync(all_lanes, stays(row)));
  int place = before_warp(found, counts, &total);
  for (int row = own.begin + lane(); row - lane() < own.end; row += 32) {
    const bool kept = stays(row);
    const unsigned ballot = __ballot_sync(all_lanes, kept);
    const int at = place + __popc(ballot & ((1u << lane()) - 1));
    if (kept && at < k) rows[at] = row;
    place += __popc(ballot);
  }
}
