// sample: the next token of every sequence, one block of 1024 threads each. Nothing is sorted. A radix select over the
// ordered bits of the logits, by counts for top-k and by weights for top-p, finds the lowest logit that is kept and,
// among equal logits, the last id. Weights are integers (2^40 for the likeliest token), so sums do not depend on their
// order. Vocabularies up to 2^23 tokens.
// Top-p: arXiv 1904.09751. Min-p: arXiv 2407.01082. Penalty: CTRL, arXiv 1909.05858.
#include "select.cuh"

/** The candidate tokens: those whose ordered logit bits are above `least`, or equal it with an id up to `last`. */
struct kept {
  unsigned least;
  int last;
  __device__ bool has(unsigned bits, int id) const { return bits > least || (bits == least && id <= last); }
};

struct memory {
  u64 bins[256];
  u64 sums[32];
  int counts[32];
  digit found;
  u64 best;
  int token;
};

/** The shortest prefix of `from`, likeliest first, whose measures add up to at least `target`. */
template <typename Bits, typename Measure>
__device__ kept cut(kept from, u64 target, int vocabulary, Bits bits_of, Measure measure, memory& room) {
  unsigned least = 0, mask = 0;
  u64 need = target;
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int i = threadIdx.x; i < 256; i += blockDim.x) room.bins[i] = 0;
    __syncthreads();
    for (int id = threadIdx.x; id < vocabulary; id += blockDim.x) {
      const unsigned bits = bits_of(id);
      if ((bits & mask) == least && from.has(bits, id)) atomicAdd(&room.bins[bits >> shift & 255], measure(id));
    }
    const digit found = reach(room.bins, need, &room.found);
    need -= found.before;
    least |= static_cast<unsigned>(found.value) << shift;
    mask |= 255u << shift;
  }
  // Equal logits have equal measures. Find how many of them are needed, and the last of their ids.
  const run own(vocabulary);
  const auto ties = [&](int id) { return id < own.end && bits_of(id) == least && from.has(least, id); };
  int found = 0, total;
  for (int id = own.begin + lane(); id - lane() < own.end; id += 32)
    found += __popc(__ballot_sync(all_lanes, ties(id)));
  int before = before_warp(found, room.counts, &total);
  __syncthreads();
  if (threadIdx.x == 0) room.token = vocabulary;
  __syncthreads();
  for (int id = own.begin + lane(); id - lane() < own.end; id += 32) {
    const bool tie = ties(id);
    const unsigned ballot = __ballot_sync(all_lanes, tie);
    if (tie) {
      const u64 each = measure(id), place = before + __popc(ballot & ((1u << lane()) - 1));
      if (place * each < need && need <= (place + 1) * each) room.token = id;
    }
    before += __popc(ballot);
  }
  __syncthreads();
  const kept result = {least, room.token};
  __syncthreads();
  return result;
}

extern "C" __global__ void __launch_bounds__(1024)
    sample(const float* all_logits, const float* params, const int* seeds, const int* stops, int* history, int* steps,
           int* ended, int* tokens, int* ids, int vocabulary, int ring, int stop_count) {
  begin();
  __shared__ memory room;
  const int s = blockIdx.x, step = steps[s];
  if (ended[s] != 0) return;
  const float* logits = all_logits + static_cast<size_t>(s) * vocabulary;
  int* seen = history ? history + static_cast<size_t>(s) * vocabulary : nullptr;
  const float temperature = params[5 * s], top_k = params[5 * s + 1], top_p = params[5 * s + 2],
              min_p = params[5 * s + 3], penalty = params[5 * s + 4];

  const auto logit_of = [&](int id) {
    float x = logits[id];
    if (seen && seen[id] > 0) x = x > 0.0f ? x / penalty : x * penalty;
    return isnan(x) ? -infinity : x;
  };
  const auto bits_of = [&](int id) { return ordered(logit_of(id)); };

  if (threadIdx.x == 0) room.best = 0;
  __syncthreads();
  u64 best = 0;
  // Several loads are in flight at once.
  constexpr int ahead = 8;
  for (int first = threadIdx.x; first < vocabulary; first += ahead * blockDim.x) {
    unsigned bits[ahead];
#pragma unroll
    for (int i = 0; i < ahead; i++) {
      const int id = first + i * blockDim.x;
      bits[i] = id < vocabulary ? bits_of(id) : 0;
    }
#pragma unroll
    for (int i = 0; i < ahead; i++) {
      const unsigned id = first + i * blockDim.x;
      if (id < vocabulary) best = max(best, static_cast<u64>(bits[i]) << 32 | ~id);
    }
  }
  atomicMax(&room.best, best);
  __syncthreads();
  const int likeliest = static_cast<int>(~static_cast<unsigned>(room.best));
  const float greatest = logit_of(likeliest);

  int token = likeliest;
  if (temperature != 0.0f && isfinite(greatest)) {
    const auto weight = [&](int id) { return expf((logit_of(id) - greatest) / temperature); };
    const auto mass = [&](int id) { return static_cast<u64>(__float2ull_rn(weight(id) * 0x1p40f)); };
    const auto total_of = [&](kept some, float least, u64& own) {
      u64 total;
      own = 0;
      const run mine(vocabulary);
      for (int id = mine.begin + lane(); id < mine.end; id += 32) {
        if (some.has(bits_of(id), id) && weight(id) >= least) own += mass(id);
      }
      for (int step = 16; step > 0; step >>= 1) own += __shfl_xor_sync(all_lanes, own, step);
      const u64 before = before_warp(own, room.sums, &total);
      __syncthreads();
      own += before;
      return total;
    };
    kept some = {0, vocabulary};
    u64 upto;
    if (top_k > 0.0f && top_k < static_cast<float>(vocabulary)) {
      some = cut(some, static_cast<u64>(top_k), vocabulary, bits_of, [](int) { return 1ull; }, room);
    }
    if (top_p < 1.0f) {
      const double target = ceil(static_cast<double>(top_p) * static_cast<double>(total_of(some, -infinity, upto)));
      if (target < 1.0) {
        some = {ordered(greatest), likeliest};
      } else {
        some = cut(some, static_cast<u64>(target), vocabulary, bits_of, mass, room);
      }
    }
    if (threadIdx.x == 0) room.token = vocabulary;
    const u64 total = total_of(some, min_p, upto);
    const double aim = static_cast<double>(uniform(seeds[s], step)) * static_cast<double>(total);
    // The first warp whose running sum passes the aim finds the id.
    const run mine(vocabulary);
    if (lane() == 0) room.sums[warp()] = upto;
    __syncthreads();
    const u64 from = warp() == 0 ? 0 : room.sums[warp() - 1];
    if (static_cast<double>(from) <= aim && static_cast<double>(upto) > aim) {
      u64 running = from;
      for (int id = mine.begin + lane(); id - lane() < mine.end; id += 32) {
        u64 sum = id < mine.end && some.has(bits_of(id), id) && weight(id) >= min_p ? mass(id) : 0;
        for (int step = 1; step < 32; step <<= 1) {
          const u64 left = __shfl_up_sync(all_lanes, sum, step);
          if (lane() >= step) sum += left;
        }
        const unsigned passed = __ballot_sync(all_lanes, static_cast<double>(running + sum) > aim);
        if (passed != 0) {
          if (lane() == __ffs(passed) - 1) room.token = id;
          break;
        }
        running += __shfl_sync(all_lanes, sum, 31);
      }
    }
    __syncthreads();
    if (room.token < vocabulary) token = room.token;
  }

  __syncthreads();
  if (threadIdx.x == 0) {
    tokens[s] = token;
    ids[static_cast<size_t>(s) * ring + step % ring] = token;
    if (seen) seen[token]++;
    for (int i = 0; i < stop_count; i++) {
      if (stops[s * stop_count + i] == token) ended[s] = 1;
    }
    steps[s] = step + 1;
  }
}
