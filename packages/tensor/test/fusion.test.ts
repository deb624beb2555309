import { describe, expect, test } from "vitest";
import {
  type Buffer,
  type Dispatch,
  fuse,
  joinedAdvances,
  type Kernel,
  type OpName,
  type Slice,
  type Spec,
} from "../src/index.js";

const buffer = (): Buffer => ({ bytes: 1 << 20 });
const slice = (offset = 0, of: Buffer = buffer()): Slice => ({ buffer: of, offset });
const dispatch = <N extends OpName>(op: N, spec: Spec<N>, operands: Record<string, Slice>): Dispatch => ({
  kernel: { op, spec } as unknown as Kernel,
  operands,
});
const [rows, width] = [2, 8];
const norm = (x: Slice, out: Slice) => dispatch("rmsNorm", { rows, width, epsilon: 1e-5 }, { x, weight: slice(), out });
const linear = (x: Slice, out: Slice) =>
  dispatch("linear", { rows, width, out: 16, weight: "f32", bias: false, residual: false } as Spec<"linear">, {
    ...{ x, weight: slice(), out },
  });
const gated = (x: Slice, out: Slice) => dispatch("gatedActivation", { rows, width, kind: "silu" }, { x, out });
const fusions = (dispatches: readonly Dispatch[]) =>
  fuse(dispatches).map(({ fusion, dispatches }) => `${fusion ?? dispatches[0]!.kernel.op} ${dispatches.length}`);

describe("groups of recorded dispatches", () => {
  const [x, normed, both, out] = [slice(), slice(), slice(), slice()];
  const layer = [norm(x, normed), linear(normed, both), gated(both, out)];

  test("results that are overwritten before they are read are dropped; the last ones are not", () => {
    expect(fusions([...layer, ...layer])).toEqual(["normLinearGated 3", "rmsNorm 1", "linear 1", "gatedActivation 1"]);
  });

  test("a shorter pattern applies if a later dispatch reads the result of a longer one", () => {
    const reads = gated(both, slice());
    expect(fusions([...layer, reads, ...layer])).toEqual([
      "normLinear 2",
      "gatedActivation 1",
      "gatedActivation 1",
      "rmsNorm 1",
      "linear 1",
      "gatedActivation 1",
    ]);
  });

  test("a result that is read later, or only overwritten in part, is kept", () => {
    const readsNormed = linear(normed, slice());
    expect(fusions([layer[0]!, layer[1]!, readsNormed, norm(x, normed)])[0]).toBe("rmsNorm 1");
    const part = dispatch("rmsNorm", { rows: 1, width, epsilon: 1e-5 }, { x, weight: slice(), out: normed });
    expect(fusions([layer[0]!, layer[1]!, part])[0]).toBe("rmsNorm 1");
  });

  test("a result that overlaps what an earlier dispatch of the group reads is written on its own", () => {
    expect(fusions([norm(x, normed), linear(normed, x), norm(x, normed)])[0]).toBe("rmsNorm 1");
    expect(fusions([norm(x, normed), linear(normed, both), norm(x, normed)])[0]).toBe("normLinear 2");
  });

  test("dispatches that are not linked, and groups that the backend declines, stay as they are", () => {
    expect(fusions([norm(x, normed), linear(slice(), both), norm(x, normed)])[0]).toBe("rmsNorm 1");
    const declined = fuse([...layer, ...layer], (fusion) => fusion !== "normLinearGated");
    expect(declined[0]!.fusion).toBe("normLinear");
  });
});

describe("counters that follow each other", () => {
  const [counters, flags] = [buffer(), buffer()];
  const advance = (counter: number, ended: number, by = 1) =>
    dispatch(
      "advance",
      { repeat: 1, sequences: 1, width: 2, by },
      {
        ...{ counter: slice(4 * counter, counters), ended: slice(4 * ended, flags) },
      },
    );

  test("are one group: sequences within a pass, passes as repetitions", () => {
    const all = [0, 1, 2].flatMap((layer) => [0, 1].map((s) => advance(4 * layer + 2 * s, s)));
    const [group, ...others] = fuse(all);
    expect(others).toEqual([]);
    expect(group!.fusion).toBe("advances");
    expect(joinedAdvances(group!.dispatches)).toEqual({ repeat: 3, sequences: 2, width: 2, by: 1 });
  });

  test("end at a gap, at another step and at another order of sequences", () => {
    expect(fusions([advance(0, 0), advance(4, 0)])).toEqual(["advance 1", "advance 1"]);
    expect(fusions([advance(0, 0), advance(2, 0, 2)])).toEqual(["advance 1", "advance 1"]);
    expect(fusions([advance(0, 0), advance(2, 1), advance(4, 0), advance(6, 0)])).toEqual(["advances 2", "advances 2"]);
  });
});
