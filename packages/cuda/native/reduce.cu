// reduce: reduces one axis of x[d0, d1, d2] to length 1. Results are numbered along the remaining axes; the `steps`
// numbers of a result are `stride` apart.
// `reduce_rows_*`: a block of 256 threads per result, for contiguous numbers (stride 1): strided partial results, then
// a fixed tree. `reduce_lanes_*`: a thread per result, in ascending order, for contiguous results.
#include "common.cuh"

struct sum {
  static constexpr float none = 0.0f;
  static __device__ float take(float x) { return x; }
  static __device__ float combine(float a, float b) { return a + b; }
  static __device__ float finish(float x, int) { return x; }
};
struct mean : sum {
  static __device__ float finish(float x, int count) { return count == 0 ? 0.0f : x / static_cast<float>(count); }
};
struct euclidean : sum {
  static __device__ float take(float x) { return x * x; }
  static __device__ float finish(float x, int) { return sqrtf(x); }
};
struct greatest {
  static constexpr float none = -infinity;
  static __device__ float take(float x) { return x; }
  static __device__ float combine(float a, float b) { return fmaxf(a, b); }
  static __device__ float finish(float x, int) { return x; }
};
struct least : greatest {
  static constexpr float none = infinity;
  static __device__ float combine(float a, float b) { return fminf(a, b); }
};

/** Start of result `i` in x, and its count of numbers. `outer`: results per index of axis 0. */
struct walk {
  size_t start;
  int count;
  __device__ walk(unsigned i, const int* length, int axis, int d1, int d2, int steps, int share) {
    const unsigned k = i % (axis == 2 ? 1 : d2);
    const unsigned rest = i / (axis == 2 ? 1 : d2);
    const unsigned j = axis == 1 ? 0 : rest % d1, h = axis == 1 ? rest : rest / d1;
    start = (static_cast<size_t>(h) * d1 + j) * d2 + k;
    count = length ? clamp(length[h / share], 0, steps) : steps;
  }
};

template <typename KIND>
__device__ void rows(const float* x, const int* length, float* out, int axis, int d1, int d2, int steps, int share) {
  __shared__ float room[33];
  const walk at(blockIdx.x, length, axis, d1, d2, steps, share);
  float result = KIND::none;
  for (int n = threadIdx.x; n < at.count; n += blockDim.x) result = KIND::combine(result, KIND::take(x[at.start + n]));
  result = block_reduce(result, KIND::none, room, KIND::combine);
  if (threadIdx.x == 0) out[blockIdx.x] = KIND::finish(result, at.count);
}

template <typename KIND>
__device__ void lanes(const float* x, const int* length, float* out, unsigned results, int axis, int d1, int d2,
                      int steps, int stride, int share) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= results) return;
  const walk at(i, length, axis, d1, d2, steps, share);
  float result = KIND::none;
  for (int n = 0; n < at.count; n++)
    result = KIND::combine(result, KIND::take(x[at.start + static_cast<size_t>(n) * stride]));
  out[i] = KIND::finish(result, at.count);
}

#define REDUCE(NAME, KIND)                                                                                      \
  KERNEL reduce_rows_##NAME(const float* x, const int* length, float* out, int axis, int d1, int d2, int steps, \
                            int share) {                                                                        \
    begin();                                                                                                    \
    rows<KIND>(x, length, out, axis, d1, d2, steps, share);                                                     \
  }                                                                                                             \
  KERNEL reduce_lanes_##NAME(const float* x, const int* length, float* out, unsigned results, int axis, int d1, \
                             int d2, int steps, int stride, int share) {                                        \
    begin();                                                                                                    \
    lanes<KIND>(x, length, out, results, axis, d1, d2, steps, stride, share);                                   \
  }

REDUCE(sum, sum)
REDUCE(mean, mean)
REDUCE(max, greatest)
REDUCE(min, least)
REDUCE(norm, euclidean)
