import { attention } from "./attention";
import { runOp } from "./commands";
import { decodeAttention } from "./decode-attention";
import { gatedActivation } from "./gated-activation";
import { Op } from "./lib/arguments";
import { findZeroPoint } from "./lib/byte-dot";
import { barrier, begin, completeBatch, end, nextBatch, setScratch, thread } from "./lib/control";
import { madd } from "./lib/math";
import { linear } from "./linear";
import { rmsNorm } from "./rms-norm";
import { sample } from "./sample";
import { watch } from "./watch";

export { join } from "./lib/control";
// Exported so that the optimiser does not inline them: V8 allocates registers badly in one large function.
export { attention, decodeAttention, gatedActivation, linear, rmsNorm, sample, watch };
export { tileBytes4, tileBytes6, tileMinimums4, tileMinimums6 } from "./lib/byte-tile";
export { zeroPoint } from "./lib/byte-dot";
export { dots32, dotsBFloat16, dotsFloat16, setMasks } from "./lib/dots";
export { dots8, dots4Bits } from "./lib/quantised-dots";
export { packQuantised, tileQuantised } from "./lib/quantised-tile";
export { products, rowsBFloat16, rowsFloat16, rowsFloat32 } from "./lib/products";
export { scores, scoresBFloat16, scoresFloat16, scoresFloat32 } from "./lib/scores";
export { exponentials, greatest, powers, prepareLogits } from "./lib/softmax";
export { tile1, tile4, tile6 } from "./lib/tile";
export { prefetched, prefetchPages } from "./lib/prefetch";
export { columnsBFloat16, columnsFloat16, columnsFloat32, weighValues } from "./lib/weigh";

/** Runs the command at `a`. */
function command(op: i32, a: usize): void {
  switch (op) {
    case Op.zero: {
      const bytes = load<i32>(a, 8) >>> 2;
      const first = <usize>begin(bytes) << 2;
      memory.fill(<usize>load<u32>(a, 4) + first, 0, (<usize>end(bytes) << 2) - first);
      return;
    }
    case Op.move: {
      if (thread == 0) memory.copy(<usize>load<u32>(a, 4), <usize>load<u32>(a, 8), <usize>load<u32>(a, 12));
      return;
    }
    case Op.inline: {
      if (thread == 0) memory.copy(<usize>load<u32>(a, 4), a + 12, <usize>load<u32>(a, 8));
      return;
    }
    case Op.scratch: return setScratch(load<u32>(a, 4), load<u32>(a, 8), load<u32>(a, 12));
    default: runOp(op, a);
  }
}

/** Runs the commands in `words` words from `at` on. All workers run the same ones, with a barrier after each. */
export function run(at: usize, words: i32): void {
  const last = at + (<usize>words << 2);
  while (at < last) {
    const head = load<u32>(at);
    const op = <i32>(head & 255);
    if (op == Op.replay) {
      run(<usize>load<u32>(at, 4), load<i32>(at, 8));
    } else {
      command(op, at);
      barrier();
    }
    at += <usize>(head >> 8) << 2;
  }
}

/** Runs batches of commands as they come. Returns the number of the first that the host waits for. */
export function serve(): i32 {
  let awaited = 0;
  while (awaited == 0) {
    const batch = nextBatch();
    run(batch + 16, load<i32>(batch, 4));
    // No worker may still read this batch when the next one is done.
    barrier();
    awaited = completeBatch();
  }
  return awaited;
}

/** Checks the arithmetic that the kernels rely on: 0, or the number of the first check that fails. */
export function check(): i32 {
  const a = f32x4.splat(3);
  const x = madd(a, f32x4(1, -2, 0.5, 4), f32x4(1, 1, 1, -12));
  if (i32x4.bitmask(f32x4.ne(x, f32x4(4, -5, 2.5, 0))) != 0) return 1;
  return findZeroPoint() ? 0 : 2;
}
