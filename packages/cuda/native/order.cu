// order: the rows of each head in ascending position. The place of a row is the number of rows with a lower position.
// One thread per row, with tiles of positions in shared memory; grid (rows, heads). Each block does n x 256
// comparisons, which suits budgets of some thousand rows.
#include "common.cuh"

KERNEL order(const int* positions, const int* offset, const int* length, int* rows, int* count, int capacity) {
  begin();
  __shared__ int tile[256];
  const int h = blockIdx.y, n = min(length[h], capacity), row = blockIdx.x * 256 + threadIdx.x;
  if (row == 0) count[h] = n;
  if (blockIdx.x * 256 >= n) return;
  const int* position = positions + offset[h];
  const int own = row < n ? position[row] : 0;
  int place = 0;
  for (int first = 0; first < n; first += 256) {
    __syncthreads();
    if (first + threadIdx.x < n) tile[threadIdx.x] = position[first + threadIdx.x];
    __syncthreads();
    const int here = min(256, n - first);
    for (int i = 0; i < here; i++) place += tile[i] < own;
  }
  if (row < n) rows[static_cast<size_t>(h) * capacity + place] = row;
}
