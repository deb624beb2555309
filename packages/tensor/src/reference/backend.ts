import type { Backend, Kernel, Slice } from "../backend.js";
import { BufferTable } from "../buffer-table.js";
import { catalogue, type OperandRule, type Operands, type OpName, type Spec } from "../catalogue.js";
import { checkOperands, checkSpec, operandIsUsed } from "../check.js";
import type { DType } from "../dtype.js";
import { OutOfMemoryError } from "../error.js";
import { labelsOf } from "../memory.js";
import { ProgramTable } from "../program-table.js";
import { meanings } from "./meanings.js";
import { type View, view } from "./view.js";

export interface ReferenceOptions {
  /** Bytes that all buffers together may take; default Infinity. An allocation beyond it fails as a device's would. */
  readonly maxBytes?: number;
}

interface Held {
  /** Undefined if there was no memory for it. */
  readonly data: ArrayBuffer | undefined;
  /** Why its bytes are lost. */
  lost?: unknown;
}

type Given = Readonly<Record<string, Slice | undefined>>;
type Command = readonly [kernel: Kernel, operands: Given];

/**
 * The float64 reference backend: the meaning of every op, computed one number at a time. Commands run when they are
 * enqueued, but their errors surface where another backend's would: at a `read` of the lost bytes, or at the next
 * `synchronise`.
 */
export function reference({ maxBytes = Number.POSITIVE_INFINITY }: ReferenceOptions = {}): Backend {
  const buffers = new BufferTable<Held>();
  const programs = new ProgramTable<readonly Command[], Command[]>(buffers);
  /** The first error that no `read` or `synchronise` has rejected with. */
  let pending: unknown;

  /** Marks buffers lost; their next `read`, and the next `synchronise`, reject. */
  const lose = (error: unknown, bytes: readonly Held[]) => {
    pending ??= error;
    for (const entry of bytes) entry.lost ??= error;
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
      const entry = buffers.find(op, buffer);
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

    allocate(bytes, label) {
      programs.checkIdle("allocate");
      const labels = labelsOf(bytes, label);
      const data = buffers.live + bytes <= maxBytes ? memory(bytes) : undefined;
      if (data) return buffers.add(bytes, labels, { data });
      const names = Object.keys(labels).join(", ");
      const entry: Held = { data };
      lose(new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${buffers.live} of ${maxBytes} in use`), [
        entry,
      ]);
      return buffers.add(bytes, {}, entry);
    },

    free(buffer) {
      programs.checkIdle("free");
      const { lost } = buffers.remove("free", buffer);
      // Freeing a lost buffer also clears its pending error.
      if (lost !== undefined && lost === pending) pending = undefined;
    },

    write(target, data) {
      programs.checkIdle("write");
      const entry = buffers.range("write", target, data.byteLength);
      if (!entry.data) return lose(entry.lost, [entry]);
      new Uint8Array(entry.data).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), target.offset);
    },

    async read(source, bytes) {
      programs.checkIdle("read");
      const { data, lost } = buffers.range("read", source, bytes);
      if (lost !== undefined) {
        pending = undefined;
        throw lost;
      }
      return new Uint8Array(data!.slice(source.offset, source.offset + bytes));
    },

    async prepare(op, spec) {
      programs.checkIdle("prepare");
      return { op, spec: checkSpec(op, spec) as Spec<typeof op> };
    },

    dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>) {
      const { recording } = programs;
      if (!recording) programs.checkIdle("dispatch");
      checkOperands(kernel, operands);
      buffers.checkHeld(kernel.op, operands);
      const command: Command = [kernel as unknown as Kernel, { ...(operands as Given) }];
      if (recording) recording.push(command);
      else run(...command);
    },

    record(body) {
      programs.checkIdle("record");
      const commands: Command[] = [];
      programs.record(commands, body);
      const slices = commands.flatMap(([, operands]) => Object.values(operands));
      return programs.add(commands.length, new Set(slices.flatMap((slice) => (slice ? [slice.buffer] : []))), commands);
    },

    replay(program) {
      programs.checkIdle("replay");
      for (const command of programs.replay(program)) run(...command);
    },

    release(program) {
      programs.checkIdle("release");
      programs.release(program);
    },

    async synchronise() {
      programs.checkIdle("synchronise");
      const error = pending;
      pending = undefined;
      if (error !== undefined) throw error;
    },

    memory: () => buffers.report(buffers.live),

    resetPeak: () => buffers.resetPeak(),

    async dispose() {
      buffers.dispose();
      programs.clear();
    },
  };
}

/** Zeroed bytes; undefined if the system has no memory. */
function memory(bytes: number): ArrayBuffer | undefined {
  try {
    return new ArrayBuffer(bytes);
  } catch {
    return undefined;
  }
}
