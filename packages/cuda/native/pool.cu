// pool: moving average or maximum over `kernel` neighbours within the length of the head. One thread per element.
#include "common.cuh"

KERNEL pool(const float* x, const int* length, float* out, unsigned heads, int capacity, int kernel, int share,
            int maximum) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= heads * capacity) return;
  const int h = i / capacity, j = i % capacity, end = min(length[h / share], capacity), reach = (kernel - 1) / 2;
  const float* row = x + static_cast<size_t>(h) * capacity;
  float result = maximum ? -infinity : 0.0f;
  if (j < end) {
    for (int n = max(0, j - reach); n < min(end, j + reach + 1); n++)
      result = maximum ? fmaxf(result, row[n]) : result + row[n];
  }
  out[i] = j >= end ? 0.0f : maximum ? result : result / static_cast<float>(kernel);
}
