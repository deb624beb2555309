import type { Backend, Kernel, Operands, OpName } from "@ziggurat/tensor";

interface Dispatch {
  readonly kernel: Kernel<OpName>;
  readonly operands: Operands<OpName>;
}

export interface Timed {
  readonly name: string;
  /** Dispatches per step. */
  readonly count: number;
  /** Microseconds per dispatch. */
  readonly us: number;
}

/**
 * Wraps a backend to remember the last recorded program. `profile` times its dispatches, one kind at a time. It repeats
 * them, counters last, so nothing may be decoded afterwards.
 */
export function profiled(backend: Backend): {
  readonly backend: Backend;
  profile(): Promise<{ kernels: Timed[]; dispatches: number }>;
} {
  let last: Dispatch[] = [];
  let recording: Dispatch[] | undefined;
  const watched: Backend = {
    ...backend,
    dispatch(kernel, operands) {
      recording?.push({ kernel, operands } as unknown as Dispatch);
      backend.dispatch(kernel, operands);
    },
    record(body) {
      recording = [];
      try {
        return backend.record(body);
      } finally {
        last = recording;
        recording = undefined;
      }
    },
  };

  async function microseconds(dispatches: readonly Dispatch[]): Promise<number> {
    const rounds = Math.ceil(200 / dispatches.length);
    const program = backend.record(() => {
      for (let round = 0; round < rounds; round++)
        for (const { kernel, operands } of dispatches) backend.dispatch(kernel, operands as never);
    });
    const times: number[] = [];
    for (let run = 0; run < 4; run++) {
      const start = performance.now();
      backend.replay(program);
      await backend.synchronise();
      times.push(((performance.now() - start) * 1000) / (rounds * dispatches.length));
    }
    backend.release(program);
    return Math.min(...times.slice(1));
  }

  return {
    backend: watched,
    async profile() {
      const kinds = new Map<string, Dispatch[]>();
      for (const dispatch of last) {
        const { op, spec } = dispatch.kernel;
        const shape = Object.entries(spec as object)
          .filter(([name]) => ["rows", "width", "out", "weight", "capacity", "headSize"].includes(name))
          .map(([name, value]) => `${name} ${value}`);
        const name = [op, ...shape].join(" ");
        kinds.set(name, [...(kinds.get(name) ?? []), dispatch]);
      }
      const kernels: Timed[] = [];
      const counts = (name: string) => Number(name.startsWith("advance"));
      for (const [name, dispatches] of [...kinds].sort(([a], [b]) => counts(a) - counts(b)))
        kernels.push({ name, count: dispatches.length, us: await microseconds(dispatches) });
      return { kernels: kernels.sort((a, b) => b.count * b.us - a.count * a.us), dispatches: last.length };
    },
  };
}
