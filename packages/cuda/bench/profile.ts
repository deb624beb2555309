import {
  type Backend,
  catalogue,
  type Dispatch,
  elementBytes,
  fuse,
  type Group,
  type OperandRule,
  type OpRule,
  operandBytes,
  operandIsUsed,
  type RowDType,
} from "@ziggurat/tensor";

export interface Timed {
  readonly name: string;
  /** Groups of this kind per step. */
  readonly count: number;
  /** Microseconds per group. */
  readonly us: number;
  /** Bytes that a group reads and writes, without results that it drops. */
  readonly bytes: number;
}

type Spec = Readonly<Record<string, number>> & { readonly kv?: RowDType };

/** Bytes of the operands of a dispatch. Of an arena, the rows of all heads within the capacity count. */
function bytesOf({ kernel, operands }: Dispatch): number {
  const rule: OpRule = catalogue[kernel.op];
  const spec = kernel.spec as unknown as Spec;
  return Object.entries<OperandRule>(rule.operands)
    .filter(([name, operand]) => operandIsUsed(operand.when, spec as never) && operands[name])
    .map(([name, operand]) => {
      const rows = (spec.sequences ?? 1) * (spec.kvHeads ?? 1) * (spec.capacity ?? spec.tokens ?? 1);
      if (name === "keys" || name === "values") return rows * spec.headSize! * elementBytes[spec.kv!];
      if (name === "cells" || name === "table") return 0;
      return operandBytes(operand, spec as never, spec as never);
    })
    .reduce((a, b) => a + b, 0);
}

/**
 * Wraps a backend to remember the last recorded program. `profile` times its groups, one kind at a time. It repeats
 * them, counters last, so nothing may be decoded afterwards.
 */
export function profiled(backend: Backend): {
  readonly backend: Backend;
  profile(): Promise<{ kernels: Timed[]; dispatches: number; groups: number }>;
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

  async function microseconds(groups: readonly Group<Dispatch>[]): Promise<number> {
    const rounds = Math.ceil(200 / groups.length);
    const program = backend.record(() => {
      for (let round = 0; round < rounds; round++)
        for (const { dispatches } of groups)
          for (const { kernel, operands } of dispatches) backend.dispatch(kernel, operands as never);
    });
    const times: number[] = [];
    for (let run = 0; run < 4; run++) {
      const start = performance.now();
      backend.replay(program);
      await backend.synchronise();
      times.push(((performance.now() - start) * 1000) / (rounds * groups.length));
    }
    backend.release(program);
    return Math.min(...times.slice(1));
  }

  return {
    backend: watched,
    async profile() {
      const kinds = new Map<string, Group<Dispatch>[]>();
      // As this backend groups: products of few rows take what follows, others take what comes before.
      const groups = fuse(last, (fusion, [, next]) => {
        const isFew = (next!.kernel.spec as unknown as Spec).rows! <= 8;
        return isFew ? fusion !== "gatedLinear" : fusion === "normLinear" || fusion === "gatedLinear";
      });
      for (const group of groups) {
        const shape = ({ kernel: { op, spec } }: Dispatch) =>
          [
            op,
            ...Object.entries(spec as object)
              .filter(([name]) => ["rows", "width", "out", "weight", "capacity"].includes(name))
              .map(([name, value]) => `${name} ${value}`),
          ].join(" ");
        const name = group.fusion === "advances" ? "advances" : group.dispatches.map(shape).join(" + ");
        kinds.set(name, [...(kinds.get(name) ?? []), group]);
      }
      const kernels: Timed[] = [];
      const counts = (name: string) => Number(name.startsWith("advance"));
      for (const [name, group] of [...kinds].sort(([a], [b]) => counts(a) - counts(b))) {
        const dropped =
          group[0]!.fusion === undefined || group[0]!.fusion === "advances" ? 0 : group[0]!.dispatches.length - 1;
        const bytes = group[0]!.dispatches.reduce((sum, dispatch, i) => {
          const { kernel, operands } = dispatch;
          const result = i < dropped && kernel.op !== "rope" ? (operands.out ? 4 : 0) : 0;
          const { rows = 0, width = 0, out = 0 } = kernel.spec as unknown as Spec;
          return sum + bytesOf(dispatch) - 2 * result * rows * (out || width);
        }, 0);
        kernels.push({ name, count: group.length, us: await microseconds(group), bytes });
      }
      return {
        kernels: kernels.sort((a, b) => b.count * b.us - a.count * a.us),
        dispatches: last.length,
        groups: groups.length,
      };
    },
  };
}
