import { BufferError, BufferTable, type Kernel, OpError, ProgramTable } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";

const copy = { op: "copy", spec: { words: 2 } } as unknown as Kernel;

describe("BufferTable", () => {
  it("holds what was added, and counts it until it is removed", () => {
    const table = new BufferTable<string>();
    const first = table.add(8, { weights: 8 }, "first");
    const second = table.add(12, { kv: 8, room: 4 }, "second");
    expect([table.get(first), table.find("read", second), table.live]).toEqual(["first", "second", 20]);
    expect(table.remove("free", first)).toBe("first");
    expect([table.has(first), table.live, table.frees]).toEqual([false, 12, 1]);
    expect(table.report(40)).toEqual({
      live: 12,
      peak: 20,
      reserved: 40,
      labels: { weights: { live: 0, peak: 8 }, kv: { live: 8, peak: 8 }, room: { live: 4, peak: 4 } },
    });
  });

  it("takes back what a refused buffer counted, once", () => {
    const table = new BufferTable<string>();
    const buffer = table.add(8, { kv: 8 }, "refused");
    table.uncount(buffer);
    expect([table.live, table.get(buffer)]).toEqual([0, "refused"]);
    table.uncount(buffer);
    table.remove("free", buffer);
    table.uncount(buffer);
    expect(table.live).toBe(0);
  });

  it("refuses unknown buffers and bytes beyond them", () => {
    const table = new BufferTable<string>();
    const buffer = table.add(8, { kv: 8 }, "held");
    const other = new BufferTable<string>().add(8, { kv: 8 }, "of another backend");
    expect(table.range("read", { buffer, offset: 4 }, 4)).toBe("held");
    for (const [offset, bytes] of [
      [2, 4],
      [-4, 4],
      [4, 8],
      [0, -4],
      [Number.NaN, 4],
      [0, Number.NaN],
    ] as const) {
      expect(() => table.range("read", { buffer, offset }, bytes), `${offset}, ${bytes}`).toThrow(
        new BufferError(`read: ${bytes} bytes from byte ${offset} (a multiple of 4) are not in a buffer of 8`),
      );
    }
    const unknown = new BufferError("free: this buffer of 8 bytes was freed, or is of another backend");
    expect(() => table.remove("free", other)).toThrow(unknown);
    table.remove("free", buffer);
    expect(() => table.remove("free", buffer)).toThrow(unknown);
  });

  it("refuses operands that are missing, too small, freed or of another backend", () => {
    const table = new BufferTable<string>();
    const x = { buffer: table.add(8, { kv: 8 }, "held"), offset: 0 };
    const small = { buffer: table.add(4, { kv: 4 }, "small"), offset: 0 };
    const other = { buffer: new BufferTable<string>().add(8, { kv: 8 }, ""), offset: 0 };
    expect(table.operand(copy, { x, out: x }, "x", 8)).toBe("held");
    const out = (operands: object) => () => table.operand(copy, operands, "out", 8);
    expect(out({ x })).toThrow(new OpError('copy: operand "out" is missing'));
    expect(out({ x, out: small })).toThrow(/^copy: operand "out" needs 8 bytes/);
    expect(out({ x, out: { ...x, offset: Number.NaN } })).toThrow(/^copy: operand "out" needs 8 bytes/);
    const freed = new OpError('copy: the buffer of operand "out" was freed, or is of another backend');
    expect(out({ x, out: other })).toThrow(freed);
    expect(() => table.checkHeld("copy", { x, out: other })).toThrow(freed);
    table.checkHeld("copy", { x, out: small });
  });

  it("forgets everything when it is disposed of", () => {
    const table = new BufferTable<string>();
    const buffer = table.add(8, { kv: 8 }, "held");
    table.checkOpen("read");
    table.dispose();
    expect([table.live, table.has(buffer)]).toEqual([0, false]);
    expect(() => table.checkOpen("read")).toThrow(new BufferError("read: this backend was disposed of"));
  });
});

describe("ProgramTable", () => {
  it("allows dispatches alone while it records, also after a body that throws", () => {
    const programs = new ProgramTable<string, string[]>(new BufferTable());
    const recording: string[] = [];
    const fault = new RangeError("stop");
    expect(() =>
      programs.record(recording, () => {
        expect(programs.recording).toBe(recording);
        expect(() => programs.checkIdle("write")).toThrow(
          new OpError("write: while a program is recorded there may only be dispatches"),
        );
        throw fault;
      }),
    ).toThrow(fault);
    expect(programs.recording).toBeUndefined();
    programs.checkIdle("write");
  });

  it("replays while all buffers of a program are held", () => {
    const buffers = new BufferTable<string>();
    const programs = new ProgramTable<string, string[]>(buffers);
    const [used, other] = [buffers.add(8, { kv: 8 }, ""), buffers.add(8, { kv: 8 }, "")];
    const program = programs.add(3, new Set([used]), "commands");
    expect([program.dispatches, programs.size]).toEqual([3, 1]);
    buffers.remove("free", other);
    expect(programs.replay(program)).toBe("commands");
    buffers.remove("free", used);
    const freed = new OpError("replay: a buffer of 8 bytes that this program uses was freed");
    expect(() => programs.replay(program)).toThrow(freed);
    expect(() => programs.replay(program)).toThrow(freed);
    expect(programs.release(program)).toBe("commands");
    for (const what of ["replay", "release"] as const) {
      expect(() => programs[what](program)).toThrow(
        new OpError(`${what}: this program was released, or is of another backend`),
      );
    }
  });
});
