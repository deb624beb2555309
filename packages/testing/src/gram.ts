/** The Gram matrix of each query head's part of an output projection, [queryHeads, headSize, headSize]. */
export function gramOf(output: Float32Array, queryHeads: number, headSize: number): Float32Array {
  const hidden = output.length / (queryHeads * headSize);
  const grams = new Float32Array(queryHeads * headSize * headSize);
  for (let head = 0; head < queryHeads; head++) {
    const row = (d: number) => output.subarray((head * headSize + d) * hidden, (head * headSize + d + 1) * hidden);
    for (let a = 0; a < headSize; a++) {
      for (let b = 0; b < headSize; b++) {
        const [x, y] = [row(a), row(b)];
        grams[(head * headSize + a) * headSize + b] = x.reduce((sum, value, i) => sum + value * y[i]!, 0);
      }
    }
  }
  return grams;
}
