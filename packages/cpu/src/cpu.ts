import {
  type Backend,
  type Buffer,
  BufferTable,
  checkOperands,
  type Kernel,
  labelsOf,
  OpError,
  type Operands,
  type OpName,
  OutOfMemoryError,
  ProgramTable,
  type Slice,
  type Spec,
} from "@ziggurat/tensor";
import { CpuKernel, head, Words } from "./encode.js";
import type { Block } from "./heap.js";
import { Queue } from "./queue.js";
import { type CpuOptions, type Started, start } from "./start.js";

/** What a buffer holds. */
interface Held {
  /** Undefined if there was no memory for it. */
  readonly block: Block | undefined;
  /** Why its bytes are lost: there was no memory for them, or for something that they were computed from. */
  lost?: unknown;
}

/** What the dispatches of a recording use. */
interface Recording {
  readonly words: Words;
  readonly buffers: Set<Buffer>;
  readonly used: Set<Held>;
  readonly written: Set<Held>;
  dispatches: number;
  lost?: unknown;
}

/** A recorded list of commands, in the workers' memory. */
interface Recorded extends Pick<Recording, "used" | "written" | "lost"> {
  readonly block: Block | undefined;
  readonly words: number;
}

type Given = Readonly<Record<string, Slice | undefined>>;

/** Measured: more rows hardly speed up matrix products, and need a larger workspace. */
const prefillTokens = 256;

/**
 * The CPU backend: kernels in WASM SIMD, run by worker threads, in Node (20.19 and up) and browsers. The caller's
 * thread never computes. Rejects with a `CpuError` if the workers cannot be started or an option makes no sense.
 */
export async function cpu(options: CpuOptions = {}): Promise<Backend> {
  return backendOf(await start(options));
}

function backendOf({ device, simd, shared, maxBytes }: Started): Backend {
  const { threads } = device;
  const queue = new Queue(device);
  const buffers = new BufferTable<Held>();
  const programs = new ProgramTable<Recorded, Recording>(buffers);
  /** The first error that no `read` or `synchronise` has rejected with. */
  let pending: unknown;
  let disposed: Promise<void> | undefined;

  /** Marks buffers lost; their next `read`, and the next `synchronise`, reject. */
  const lose = (error: unknown, bytes: Iterable<Held>) => {
    pending ??= error;
    for (const entry of bytes) entry.lost ??= error;
  };
  /** Memory, or why there is none. */
  const attempt = (work: () => Block): Pick<Held, "block" | "lost"> => {
    try {
      return { block: work() };
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      return { block: undefined, lost: error };
    }
  };
  const run = (kernel: CpuKernel, operands: Given, words: Words, into?: Recording) => {
    const entries: (readonly [word: number, held: Held, offset: number])[] = [];
    const written: Held[] = [];
    let lost: unknown;
    for (const operand of kernel.operands) {
      const { name, word, bytes } = operand;
      const entry = buffers.operand(kernel, operands, name, bytes);
      const { buffer, offset } = operands[name]!;
      into?.buffers.add(buffer);
      entries.push([word, entry, offset]);
      if (operand.written) written.push(entry);
      lost ??= entry.lost;
    }
    for (const entry of written) into?.written.add(entry);
    if (lost !== undefined) {
      if (into) into.lost ??= lost;
      else lose(lost, written);
      return;
    }
    const at = words.take(kernel.words.length);
    words.words.set(kernel.words, at);
    for (const [word, entry, offset] of entries) {
      words.words[at + word] = entry.block!.address + offset;
      if (into) into.used.add(entry);
      else entry.block!.used = device.next;
    }
  };
  const known = (kernel: Kernel<never> | CpuKernel, operands: Given) => {
    if (!(kernel instanceof CpuKernel)) throw new OpError("dispatch: this kernel was not prepared by this backend");
    // Refuses a name that the op does not have.
    for (const name in operands) {
      if (!kernel.names.has(name)) checkOperands(kernel as unknown as Kernel, operands as unknown as Operands<OpName>);
    }
    return kernel;
  };

  return {
    info: {
      name: "cpu",
      device: `${threads} thread${threads > 1 ? "s" : ""}, ${simd === "relaxed" ? "relaxed" : "base"} WASM SIMD`,
      features: { threads, simd, sharedMemory: shared },
      prefillTokens,
      maxBytes,
    },

    allocate(bytes, label) {
      programs.checkIdle("allocate");
      const labels = labelsOf(bytes, label);
      const { block, lost } = attempt(() => queue.take(bytes));
      if (block) return buffers.add(bytes, labels, { block });
      const names = Object.keys(labels).join(", ");
      const why = `allocate: ${bytes} bytes for ${names}, with ${buffers.live} of ${maxBytes} in use: ${(lost as Error).message}`;
      const entry: Held = { block };
      lose(new OutOfMemoryError(why, { cause: lost }), [entry]);
      return buffers.add(bytes, {}, entry);
    },

    free(buffer) {
      programs.checkIdle("free");
      const { block, lost } = buffers.remove("free", buffer);
      // Freeing a lost buffer also clears its pending error.
      if (lost !== undefined && lost === pending) pending = undefined;
      if (block) queue.free(block);
    },

    write(target, data) {
      programs.checkIdle("write");
      const entry = buffers.range("write", target, data.byteLength);
      const { block } = entry;
      if (!block) return lose(entry.lost, [entry]);
      try {
        queue.write(block, target.offset, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      } catch (error) {
        lose(error, [entry]);
      }
    },

    async read(source, bytes) {
      programs.checkIdle("read");
      const { block, lost } = buffers.range("read", source, bytes);
      if (lost !== undefined) {
        pending = undefined;
        throw lost;
      }
      queue.flush();
      return await device.read(block!, source.offset, bytes);
    },

    async prepare<N extends OpName>(op: N, spec: Spec<N>) {
      programs.checkIdle("prepare");
      const kernel = new CpuKernel(op, spec);
      queue.makeRoom(kernel.scratch.shared, kernel.scratch.thread);
      return kernel;
    },

    dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>) {
      const given = operands as Given;
      const checked = known(kernel as unknown as CpuKernel, given);
      const { recording } = programs;
      if (recording) {
        run(checked, given, recording.words, recording);
        recording.dispatches++;
        return;
      }
      programs.checkIdle("dispatch");
      run(checked, given, queue.words);
      queue.enqueued();
    },

    record(body) {
      programs.checkIdle("record");
      const now: Recording = {
        words: new Words(),
        buffers: new Set(),
        used: new Set(),
        written: new Set(),
        dispatches: 0,
      };
      programs.record(now, body);
      const { used, written, words } = now;
      const { block, lost } = attempt(() => {
        const { block } = device.heap.allocate(4 * words.length);
        try {
          queue.write(block, 0, new Uint8Array(words.words.buffer, 0, 4 * words.length));
        } catch (error) {
          queue.free(block);
          throw error;
        }
        return block;
      });
      const recorded = { used, written, block, words: words.length, lost: now.lost ?? lost };
      return programs.add(now.dispatches, now.buffers, recorded);
    },

    replay(program) {
      programs.checkIdle("replay");
      const recorded = programs.replay(program);
      const { block, words, used, written } = recorded;
      let { lost } = recorded;
      for (const entry of used) lost ??= entry.lost;
      if (lost !== undefined) return lose(lost, written);
      for (const entry of used) entry.block!.used = device.next;
      block!.used = device.next;
      queue.words.push(head("replay", 3), block!.address, words);
      queue.enqueued();
    },

    release(program) {
      programs.checkIdle("release");
      const { block } = programs.release(program);
      if (block) queue.free(block);
    },

    async synchronise() {
      programs.checkIdle("synchronise");
      queue.flush();
      await device.synchronise();
      const error = pending;
      pending = undefined;
      if (error !== undefined) throw error;
    },

    memory: () => buffers.report(device.heap.size),

    resetPeak: () => buffers.resetPeak(),

    async dispose() {
      buffers.dispose();
      programs.clear();
      queue.stop();
      disposed ??= device.stop();
      await disposed;
    },
  };
}
