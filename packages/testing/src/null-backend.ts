import {
  type Backend,
  type Buffer,
  BufferError,
  catalogue,
  checkOperands,
  checkSpec,
  Ledger,
  labelsOf,
  OpError,
  type Program,
  type Slice,
  type Spec,
} from "@ziggurat/tensor";

/** A read from a backend that computes nothing. */
export class ReadRefusedError extends Error {
  override readonly name = "ReadRefusedError";
}

/**
 * A backend that runs nothing: specs and operands are checked and bytes are counted as on any other, but there are no
 * bytes, and `read` rejects with a
 * {@link ReadRefusedError}. What works on it cannot depend on what a device computes.
 */
export function nullBackend(): Backend {
  const ledger = new Ledger();
  const buffers = new Map<Buffer, Readonly<Record<string, number>>>();
  const programs = new Set<Program>();
  let recorded: number | undefined;

  const labelsIn = (what: string, buffer: Buffer) => {
    const labels = buffers.get(buffer);
    if (!labels)
      throw new BufferError(`${what}: this buffer of ${buffer.bytes} bytes was freed, or is of another backend`);
    return labels;
  };
  const known = (what: string, program: Program) => {
    if (!programs.has(program)) throw new OpError(`${what}: this program was released, or is of another backend`);
  };
  const notRecording = (what: string) => {
    if (recorded !== undefined) throw new OpError(`${what}: while a program is recorded there may only be dispatches`);
  };

  return {
    info: { name: "null", device: "nothing", features: {}, prefillTokens: 64, maxBytes: Number.POSITIVE_INFINITY },
    has: (op) => op in catalogue,
    allocate(bytes, label) {
      notRecording("allocate");
      const labels = labelsOf(bytes, label);
      const buffer = { bytes };
      buffers.set(buffer, labels);
      ledger.count(labels, 1);
      return buffer;
    },
    free(buffer) {
      notRecording("free");
      ledger.count(labelsIn("free", buffer), -1);
      buffers.delete(buffer);
    },
    write({ buffer, offset }, { byteLength }) {
      notRecording("write");
      labelsIn("write", buffer);
      if (offset % 4 === 0 && offset >= 0 && offset + byteLength <= buffer.bytes) return;
      throw new BufferError(
        `write: ${byteLength} bytes from byte ${offset} (a multiple of 4) are not in a buffer of ${buffer.bytes}`,
      );
    },
    async read() {
      throw new ReadRefusedError("read: the null backend computes nothing that could be read");
    },
    async prepare(op, spec) {
      return { op, spec: checkSpec(op, spec) as Spec<typeof op> };
    },
    dispatch(kernel, operands) {
      checkOperands(kernel, operands);
      for (const [name, slice] of Object.entries(operands as Readonly<Record<string, Slice | undefined>>)) {
        if (slice && !buffers.has(slice.buffer))
          throw new OpError(`${kernel.op}: the buffer of operand "${name}" was freed, or is of another backend`);
      }
      if (recorded !== undefined) recorded++;
    },
    record(body) {
      notRecording("record");
      recorded = 0;
      try {
        body();
        const program = { dispatches: recorded };
        programs.add(program);
        return program;
      } finally {
        recorded = undefined;
      }
    },
    replay: (program) => known("replay", program),
    release(program) {
      known("release", program);
      programs.delete(program);
    },
    async synchronise() {},
    memory: () => ledger.report(ledger.live),
    resetPeak: () => ledger.resetPeak(),
    async dispose() {
      for (const labels of buffers.values()) ledger.count(labels, -1);
      buffers.clear();
      programs.clear();
    },
  };
}
