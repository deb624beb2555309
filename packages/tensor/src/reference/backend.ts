import type { Backend, Buffer, Kernel, Program, Slice } from "../backend.js";
import { catalogue, type OperandRule, type Operands, type OpName, type Spec } from "../catalogue.js";
import { checkOperands, checkSpec, OpError, operandIsUsed } from "../check.js";
import type { DType } from "../dtype.js";
import { BufferError, OutOfMemoryError } from "../error.js";
import { Ledger, labelsOf } from "../memory.js";
import { meanings } from "./meanings.js";
import { type View, view } from "./view.js";

export interface ReferenceOptions {
  /** Bytes that all buffers together may take; default Infinity. An allocation beyond fails as a device's would. */
  readonly maxBytes?: number;
}

interface Held {
  readonly labels: Readonly<Record<string, number>>;
  /** Undefined where there was no memory for it. */
  readonly data: ArrayBuffer | undefined;
  /** Why its bytes are not what they should be. */
  lost?: unknown;
}

type Given = Readonly<Record<string, Slice | undefined>>;
type Command = readonly [kernel: Kernel, operands: Given];

/**
 * The float64 reference backend: the meaning of every op, computed one number at a time. Commands run when they are
 * enqueued, but what goes wrong in one is told where another backend would tell it: by the `read` of bytes that it
 * concerns, or the next `synchronise`.
 */
export function reference({ maxBytes = Number.POSITIVE_INFINITY }: ReferenceOptions = {}): Backend {
  const ledger = new Ledger();
  const buffers = new Map<Buffer, Held>();
  const programs = new Map<Program, readonly Command[]>();
  let recording: Command[] | undefined;
  /** The first loss since somebody was told of one. */
  let untold: unknown;
  let disposed = false;

  /** What could not be done is told to who reads the bytes that are not there, and by the next `synchronise`. */
  const lose = (error: unknown, bytes: readonly Held[]) => {
    untold ??= error;
    for (const entry of bytes) entry.lost ??= error;
  };
  const ready = (what: string) => {
    if (disposed) throw new BufferError(`${what}: this backend was disposed of`);
    if (recording) throw new OpError(`${what}: while a program is recorded there may only be dispatches`);
  };
  const held = (what: string, buffer: Buffer): Held => {
    const found = buffers.get(buffer);
    if (!found)
      throw new BufferError(`${what}: this buffer of ${buffer.bytes} bytes was freed, or is of another backend`);
    return found;
  };
  const checkRange = (what: string, { buffer, offset }: Slice, bytes: number) => {
    if (offset % 4 === 0 && offset >= 0 && bytes >= 0 && offset + bytes <= buffer.bytes) return;
    throw new BufferError(
      `${what}: ${bytes} bytes from byte ${offset} (a multiple of 4) are not in a buffer of ${buffer.bytes}`,
    );
  };
  const checkHeld = (op: OpName, operands: Given) => {
    for (const [name, slice] of Object.entries(operands)) {
      if (slice && !buffers.has(slice.buffer)) {
        throw new OpError(`${op}: the buffer of operand "${name}" was freed, or is of another backend`);
      }
    }
  };

  const run = ({ op, spec }: Kernel, operands: Given) => {
    const sizes = spec as unknown as Readonly<Record<string, number>>;
    const dtypes = spec as unknown as Readonly<Record<string, DType>>;
    const views: Record<string, View> = {};
    const written: Held[] = [];
    let lost: unknown;
    for (const [name, rule] of Object.entries<OperandRule>(catalogue[op].operands)) {
      if (!operandIsUsed(rule.when, sizes)) continue;
      const { buffer, offset } = operands[name]!;
      const entry = held(op, buffer);
      if (rule.access !== "read") written.push(entry);
      lost ??= entry.lost;
      const dtype = dtypes[rule.dtype] ?? (rule.dtype as DType);
      if (entry.data) views[name] = view(dtype, rule.shape(sizes), entry.data, offset);
    }
    if (lost !== undefined) return lose(lost, written);
    try {
      (meanings[op] as (spec: unknown, views: unknown) => void)(spec, views);
    } catch (error) {
      lose(error, written);
    }
  };

  return {
    info: { name: "reference", device: "float64 in JavaScript", features: {}, prefillTokens: 64, maxBytes },

    has: (op) => op in meanings,

    allocate(bytes, label) {
      ready("allocate");
      const labels = labelsOf(bytes, label);
      const buffer: Buffer = { bytes };
      const data = ledger.live + bytes <= maxBytes ? memory(bytes) : undefined;
      if (data) {
        buffers.set(buffer, { labels, data });
        ledger.count(labels, 1);
        return buffer;
      }
      const names = Object.keys(labels).join(", ");
      const entry: Held = { labels: {}, data };
      buffers.set(buffer, entry);
      lose(new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${ledger.live} of ${maxBytes} in use`), [
        entry,
      ]);
      return buffer;
    },

    free(buffer) {
      ready("free");
      const { labels, lost } = held("free", buffer);
      // Who gives lost bytes back waits for them no more.
      if (lost !== undefined && lost === untold) untold = undefined;
      ledger.count(labels, -1);
      buffers.delete(buffer);
    },

    write(target, data) {
      ready("write");
      checkRange("write", target, data.byteLength);
      const entry = held("write", target.buffer);
      if (!entry.data) return lose(entry.lost, [entry]);
      new Uint8Array(entry.data).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), target.offset);
    },

    async read(source, bytes) {
      ready("read");
      checkRange("read", source, bytes);
      const { data, lost } = held("read", source.buffer);
      if (lost !== undefined) {
        untold = undefined;
        throw lost;
      }
      return new Uint8Array(data!.slice(source.offset, source.offset + bytes));
    },

    async prepare(op, spec) {
      ready("prepare");
      return { op, spec: checkSpec(op, spec) as Spec<typeof op> };
    },

    dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>) {
      if (!recording) ready("dispatch");
      checkOperands(kernel, operands);
      checkHeld(kernel.op, operands as Given);
      const command: Command = [kernel as unknown as Kernel, { ...(operands as Given) }];
      if (recording) recording.push(command);
      else run(...command);
    },

    record(body) {
      ready("record");
      const commands: Command[] = [];
      recording = commands;
      try {
        body();
      } finally {
        recording = undefined;
      }
      const program: Program = { dispatches: commands.length };
      programs.set(program, commands);
      return program;
    },

    replay(program) {
      ready("replay");
      const commands = programs.get(program);
      if (!commands) throw new OpError("replay: this program was released, or is of another backend");
      for (const [{ op }, operands] of commands) checkHeld(op, operands);
      for (const command of commands) run(...command);
    },

    release(program) {
      ready("release");
      if (!programs.delete(program)) throw new OpError("release: this program was released, or is of another backend");
    },

    async synchronise() {
      ready("synchronise");
      const error = untold;
      untold = undefined;
      if (error !== undefined) throw error;
    },

    memory: () => ledger.report(ledger.live),

    resetPeak: () => ledger.resetPeak(),

    async dispose() {
      for (const { labels } of buffers.values()) ledger.count(labels, -1);
      buffers.clear();
      programs.clear();
      disposed = true;
    },
  };
}

/** Zeroed bytes; undefined where the system has no more. */
function memory(bytes: number): ArrayBuffer | undefined {
  try {
    return new ArrayBuffer(bytes);
  } catch {
    return undefined;
  }
}
