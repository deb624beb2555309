// Index arithmetic of broadcast operands.
#pragma once

struct shape {
  unsigned d0, d1, d2;
};

/** Index of element `i` of a result of shape `to` in an operand of shape `from`, whose axes equal those of `to` or 1.
 */
__device__ inline unsigned broadcast(unsigned i, shape to, shape from) {
  const unsigned k = i % to.d2, j = i / to.d2 % to.d1, h = i / to.d2 / to.d1;
  return ((from.d0 == 1 ? 0 : h) * from.d1 + (from.d1 == 1 ? 0 : j)) * from.d2 + (from.d2 == 1 ? 0 : k);
}
