import type { Backend, Kernel, Operands, OpName, Program, Slice } from "@ziggurat/tensor";

/**
 * For each compression in order and each head, the positions of rows whose score nearly equals that of the last row
 * kept. Rounding decides which of them stay.
 */
export type CloseRows = number[][];

interface Dispatch {
  readonly kernel: Kernel<OpName>;
  readonly operands: Operands<OpName>;
}

/**
 * Wraps a backend to record the scores of every topk. Recorded programs run command by command. `take` returns what was
 * recorded since the last call.
 */
export function lookingAtScores(
  backend: Backend,
  relative: number,
): { readonly backend: Backend; take(): Promise<CloseRows[]> } {
  let seen: Promise<CloseRows>[] = [];
  let recording: Dispatch[] | undefined;
  const programs = new Map<Program, readonly Dispatch[]>();
  const words = async (slice: Slice, count: number) => new Int32Array((await backend.read(slice, 4 * count)).buffer);

  async function look({ kernel, operands }: Dispatch): Promise<CloseRows> {
    const { heads, capacity, arenaRows } = kernel.spec as { heads: number; capacity: number; arenaRows: number };
    const slices = operands as Readonly<Record<string, Slice>>;
    const [scores, positions, offset, length, count] = await Promise.all([
      words(slices.scores!, heads * capacity).then(({ buffer }) => new Float32Array(buffer)),
      words(slices.positions!, arenaRows),
      words(slices.offset!, heads),
      words(slices.length!, heads),
      words(slices.count!, heads),
    ]);
    return Array.from({ length: heads }, (_, h) => {
      const own = [...scores.subarray(h * capacity, h * capacity + length[h]!)];
      const least = [...own].sort((a, b) => b - a)[count[h]! - 1]!;
      return own.flatMap((score, row) =>
        Math.abs(score - least) <= relative * Math.abs(least) ? [positions[offset[h]! + row]!] : [],
      );
    });
  }
  const run = (dispatch: Dispatch) => {
    backend.dispatch(dispatch.kernel, dispatch.operands);
    if (dispatch.kernel.op === "topk") seen.push(look(dispatch));
  };

  const looking: Backend = {
    ...backend,
    dispatch(kernel, operands) {
      const dispatch = { kernel, operands } as unknown as Dispatch;
      if (recording) recording.push(dispatch);
      else run(dispatch);
    },
    record(body) {
      const dispatches: Dispatch[] = [];
      recording = dispatches;
      try {
        body();
      } finally {
        recording = undefined;
      }
      const program: Program = { dispatches: dispatches.length };
      programs.set(program, dispatches);
      return program;
    },
    replay: (program) => programs.get(program)!.forEach(run),
    release: (program) => void programs.delete(program),
  };
  return {
    backend: looking,
    async take() {
      const all = await Promise.all(seen);
      seen = [];
      return all;
    },
  };
}
