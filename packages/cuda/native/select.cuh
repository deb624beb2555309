// Selection within one block of 1024 threads: every warp owns a contiguous run of items, so results keep their order.
#pragma once
#include "common.cuh"

typedef unsigned long long u64;

/** The run of items of this warp, a multiple of 32 items, so that its lanes stay converged. */
struct run {
  int begin, end;
  __device__ explicit run(int items) {
    const int each = (items + 32 * warps() - 1) / (32 * warps()) * 32;
    begin = min(items, warp() * each);
    end = min(items, begin + each);
  }
};

/** The 8-bit digit at which the running total, from the greatest digit down, reaches a target. */
struct digit {
  int value;
  /** Total of the greater digits. */
  u64 before;
  /** Total of this digit. */
  u64 within;
};

/** Finds the digit; the first warp works, the others wait. The total of all bins must reach `target`. */
template <typename T>
__device__ inline digit reach(const T* bins, u64 target, digit* room) {
  __syncthreads();
  if (warp() == 0) {
    u64 own = 0;
    for (int i = 0; i < 8; i++) own += bins[255 - 8 * lane() - i];
    u64 upto = own;
    for (int step = 1; step < 32; step <<= 1) {
      const u64 left = __shfl_up_sync(all_lanes, upto, step);
      if (lane() >= step) upto += left;
    }
    const unsigned reached = __ballot_sync(all_lanes, upto >= target);
    if (reached != 0 && lane() == __ffs(reached) - 1) {
      u64 before = upto - own;
      for (int i = 0; i < 8; i++) {
        const int value = 255 - 8 * lane() - i;
        if (before + bins[value] >= target) {
          *room = {value, before, bins[value]};
          break;
        }
        before += bins[value];
      }
    }
    if (reached == 0 && lane() == 0) *room = {0, 0, bins[0]};
  }
  __syncthreads();
  const digit found = *room;
  __syncthreads();
  return found;
}

/** The sum of `own` over the warps before this one. `room`: 32 numbers; `total` receives the sum over all warps. */
template <typename T>
__device__ inline T before_warp(T own, T* room, T* total) {
  __syncthreads();
  if (lane() == 0) room[warp()] = own;
  __syncthreads();
  T before = 0, all = 0;
  for (int i = 0; i < warps(); i++) {
    if (i < warp()) before += room[i];
    all += room[i];
  }
  *total = all;
  return before;
}
