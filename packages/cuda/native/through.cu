// through: sqrt(x . G x) of every row of a head. One block of 256 threads for 64 rows: tiles of x G, 64 rows x 64
// columns with 16 steps of the sum in shared memory at a time, are multiplied with x where they are made. Thread (tx,
// ty) has rows 4 ty + r and columns tx + 16 c; the sums over tx meet in order at the end.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256)
    through(const float* x, const float* gram, const int* length, float* out, int group, int repeat, int share,
            int capacity, int size) {
  begin();
  __shared__ float rows[64][17], matrix[16][64];
  const int head = blockIdx.y, first = blockIdx.x * 64, held = clamp(length[head / group], 0, capacity);
  const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  x += static_cast<size_t>(head / repeat) * capacity * size;
  gram += static_cast<size_t>(head % share) * size * size;
  float squares[4] = {};
  for (int column = 0; column < size; column += 64) {
    float sums[4][4] = {};
    for (int step = 0; step < size; step += 16) {
      __syncthreads();
      for (int i = threadIdx.x; i < 1024; i += 256) {
        const int row = first + i / 16, k = step + i % 16, c = column + i % 64, line = step + i / 64;
        rows[i / 16][i % 16] = row < held && k < size ? x[static_cast<size_t>(row) * size + k] : 0.0f;
        matrix[i / 64][i % 64] = c < size && line < size ? gram[static_cast<size_t>(line) * size + c] : 0.0f;
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < 16; k++) {
#pragma unroll
        for (int r = 0; r < 4; r++) {
#pragma unroll
          for (int c = 0; c < 4; c++) sums[r][c] += rows[4 * ty + r][k] * matrix[k][tx + 16 * c];
        }
      }
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      const int row = first + 4 * ty + r;
#pragma unroll
      for (int c = 0; c < 4; c++) {
        const int at = column + tx + 16 * c;
        if (row < held && at < size) squares[r] += sums[r][c] * x[static_cast<size_t>(row) * size + at];
      }
    }
  }
  __syncthreads();
#pragma unroll
  for (int r = 0; r < 4; r++) rows[4 * ty + r][tx] = squares[r];
  __syncthreads();
  const int row = threadIdx.x;
  if (row < 64 && first + row < capacity) {
    float square = 0.0f;
    for (int t = 0; t < 16; t++) square += rows[row][t];
    out[static_cast<size_t>(head) * capacity + first + row] = sqrtf(fmaxf(square, 0.0f));
  }
}
