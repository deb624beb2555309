// pool: a moving average or maximum over `kernel` neighbours, of those within the head's length. One thread an element.
#include "common.cuh"

KERNEL pool(const float* x, const int* length, float* out, unsigned elements, int capacity, int size, int kernel,
            int share, int maximum) {
  begin();
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  const unsigned row = i / size, h = row / capacity;
  const int j = row % capacity, end = min(length[h / share], capacity), reach = (kernel - 1) / 2;
  const float* column = x + static_cast<size_t>(h) * capacity * size + i % size;
  float result = maximum ? -infinity : 0.0f;
  if (j < end) {
    for (int n = max(0, j - reach); n < min(end, j + reach + 1); n++) {
      const float number = column[static_cast<size_t>(n) * size];
      result = maximum ? fmaxf(result, number) : result + number;
    }
  }
  out[i] = j >= end ? 0.0f : maximum ? result : result / static_cast<float>(kernel);
}
