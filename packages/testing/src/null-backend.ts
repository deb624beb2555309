import {
  type Backend,
  type Buffer,
  BufferTable,
  checkOperands,
  checkSpec,
  labelsOf,
  ProgramTable,
  type Slice,
  type Spec,
} from "@ziggurat/tensor";

/** A read from a backend that computes nothing. */
export class ReadRefusedError extends Error {
  override readonly name = "ReadRefusedError";
}

/**
 * A backend that computes nothing. It checks specs and operands and counts bytes as any other, but holds no bytes, and
 * `read` rejects with a {@link ReadRefusedError}. Code that works on it cannot depend on computed values.
 */
export function nullBackend(): Backend {
  const buffers = new BufferTable<true>();
  const programs = new ProgramTable<true, { dispatches: number; buffers: Set<Buffer> }>(buffers);

  return {
    info: { name: "null", device: "nothing", features: {}, prefillTokens: 64, maxBytes: Number.POSITIVE_INFINITY },
    allocate(bytes, label) {
      programs.checkIdle("allocate");
      return buffers.add(bytes, labelsOf(bytes, label), true);
    },
    free(buffer) {
      programs.checkIdle("free");
      buffers.remove("free", buffer);
    },
    write(target, { byteLength }) {
      programs.checkIdle("write");
      buffers.range("write", target, byteLength);
    },
    async read() {
      throw new ReadRefusedError("read: the null backend computes nothing that could be read");
    },
    async prepare(op, spec) {
      programs.checkIdle("prepare");
      return { op, spec: checkSpec(op, spec) as Spec<typeof op> };
    },
    dispatch(kernel, operands) {
      const { recording } = programs;
      if (!recording) programs.checkIdle("dispatch");
      checkOperands(kernel, operands);
      buffers.checkHeld(kernel.op, operands);
      if (!recording) return;
      recording.dispatches++;
      for (const slice of Object.values(operands as Readonly<Record<string, Slice | undefined>>)) {
        if (slice) recording.buffers.add(slice.buffer);
      }
    },
    record(body) {
      programs.checkIdle("record");
      const recording = { dispatches: 0, buffers: new Set<Buffer>() };
      programs.record(recording, body);
      return programs.add(recording.dispatches, recording.buffers, true);
    },
    replay(program) {
      programs.checkIdle("replay");
      programs.replay(program);
    },
    release(program) {
      programs.checkIdle("release");
      programs.release(program);
    },
    async synchronise() {
      programs.checkIdle("synchronise");
    },
    memory: () => buffers.report(buffers.live),
    resetPeak: () => buffers.resetPeak(),
    async dispose() {
      buffers.dispose();
      programs.clear();
    },
  };
}
