/** scale x q.k, bounded to (-softcap, softcap) where softcap > 0. */
export function logit(query: readonly number[], key: readonly number[], scale: number, softcap: number): number {
  const product = scale * query.reduce((sum, q, i) => sum + q * key[i]!, 0);
  return softcap > 0 ? softcap * Math.tanh(product / softcap) : product;
}

/** log(sum(exp(x))); -Infinity over nothing. */
export function logSumExp(x: readonly number[]): number {
  const greatest = x.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (greatest === Number.NEGATIVE_INFINITY) return greatest;
  return greatest + Math.log(x.reduce((sum, value) => sum + Math.exp(value - greatest), 0));
}

/**
 * softmax(logits) . values, one row of values a logit, and the log of softmax's denominator. Over no rows: zeros and
 * -Infinity.
 */
export function attend(
  logits: readonly number[],
  values: readonly (readonly number[])[],
  size: number,
): { out: number[]; lse: number } {
  const lse = logSumExp(logits);
  const out = new Array<number>(size).fill(0);
  logits.forEach((value, j) => {
    const weight = Math.exp(value - lse);
    values[j]!.forEach((v, i) => {
      out[i]! += weight * v;
    });
  });
  return { out, lse };
}
