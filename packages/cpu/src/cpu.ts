import {
  type Backend,
  type Buffer,
  BufferError,
  checkOperands,
  type Kernel,
  Ledger,
  labelsOf,
  OpError,
  type Operands,
  type OpName,
  OutOfMemoryError,
  opNames,
  type Program,
  type Slice,
  type Spec,
} from "@ziggurat/tensor";
import { CpuKernel, head, Words } from "./encode.js";
import type { Block } from "./heap.js";
import { type CpuOptions, type Started, start } from "./start.js";

/** What a buffer holds: its block, or why it has none. */
interface Held {
  readonly labels: Readonly<Record<string, number>>;
  readonly place: Block | OutOfMemoryError;
}

/** A recorded list of commands, in the workers' memory. */
interface Recorded {
  readonly held: ReadonlySet<Held>;
  readonly place: Block | OutOfMemoryError;
  readonly words: number;
}

type Given = Readonly<Record<string, Slice | undefined>>;

/** Data up to this many bytes travels inside the commands. */
const inlineBytes = 4096;
/** Commands are handed over when there are this many words, or at the end of the present microtask. */
const batchWords = 1 << 15;
/** Measured: more rows make matrix products hardly faster and the workspace larger. */
const prefillTokens = 256;

/**
 * The CPU backend: kernels in WASM SIMD, run by worker threads, in Node (20.19 and up) and browsers. The caller's thread never computes.
 * Rejects with a `CpuError` where the workers cannot be started or an option makes no sense.
 */
export async function cpu(options: CpuOptions = {}): Promise<Backend> {
  return backendOf(await start(options));
}

function backendOf({ device, simd, shared, maxBytes }: Started): Backend {
  const { heap, threads } = device;
  const ledger = new Ledger();
  const buffers = new Map<Buffer, Held>();
  const programs = new Map<Program, Recorded>();
  const pending = new Words();
  let recording: { words: Words; held: Set<Held>; dispatches: number } | undefined;
  let scratch: { block: Block; shared: number; thread: number } | undefined;
  let failure: unknown;
  let flushing = false;
  let disposed: Promise<void> | undefined;

  const ready = (what: string) => {
    if (disposed) throw new BufferError(`${what}: this backend was disposed of`);
    if (recording) throw new OpError(`${what}: while a program is recorded there may only be dispatches`);
  };
  const held = (what: string, buffer: Buffer): Held => {
    const found = buffers.get(buffer);
    if (!found) throw new BufferError(`${what}: this buffer of ${buffer.bytes} bytes was freed, or is of another backend`);
    return found;
  };
  const checkRange = (what: string, { buffer, offset }: Slice, bytes: number) => {
    if (offset % 4 === 0 && offset >= 0 && bytes >= 0 && offset + bytes <= buffer.bytes) return;
    throw new BufferError(`${what}: ${bytes} bytes from byte ${offset} (a multiple of 4) are not in a buffer of ${buffer.bytes}`);
  };

  const flush = () => {
    if (pending.length > 0) device.submit(pending.flush());
  };
  /** Hands over before long; at once where there is much. */
  const enqueued = () => {
    if (pending.length >= batchWords) flush();
    if (flushing) return;
    flushing = true;
    queueMicrotask(() => {
      flushing = false;
      if (!disposed) guard(flush);
    });
  };
  /** What goes wrong in enqueuing is told by the next `synchronise` or `read`. */
  const guard = (work: () => void) => {
    try {
      work();
    } catch (error) {
      failure ??= error;
    }
  };
  const settle = () => {
    const error = failure;
    failure = undefined;
    if (error !== undefined) throw error;
  };
  /** Zeroed memory that the commands enqueued from now on may use. */
  const take = (bytes: number): Block => {
    const { block, fresh } = heap.allocate(bytes);
    if (!fresh) {
      pending.push(head("zero", 3), block.address, block.bytes);
      block.used = device.next;
      enqueued();
    }
    return block;
  };
  const write = (block: Block, offset: number, data: Uint8Array) => {
    if (device.writeNow(block, offset, data)) return;
    if (data.length > inlineBytes || data.length === 0) {
      flush();
      if (data.length > 0) device.write(block, offset, data);
      return;
    }
    const words = 3 + Math.ceil(data.length / 4);
    const at = pending.take(words);
    pending.words.set([head("inline", words), block.address + offset, data.length], at);
    new Uint8Array(pending.words.buffer, 4 * (at + 3), data.length).set(data);
    block.used = device.next;
    enqueued();
  };
  /** Makes the workers' scratch memory large enough. */
  const makeRoom = (shared: number, thread: number) => {
    const stride = Math.ceil(thread / 64) * 64 + 64;
    if (scratch && scratch.shared >= shared && scratch.thread >= stride) return;
    const room = { shared: Math.max(scratch?.shared ?? 0, Math.ceil(shared / 64) * 64), thread: Math.max(scratch?.thread ?? 0, stride) };
    const { block } = heap.allocate(room.shared + threads * room.thread);
    if (scratch) {
      // Any command enqueued so far may still use it, while batches and what the host writes are put where no command is at work.
      scratch.block.used = device.next;
      heap.free(scratch.block);
    }
    scratch = { block, ...room };
    pending.push(head("scratch", 4), block.address, block.address + room.shared, room.thread);
    enqueued();
  };
  const run = (kernel: CpuKernel, operands: Given, words: Words, uses?: Set<Held>) => {
    const blocks: (readonly [word: number, held: Held, offset: number])[] = [];
    for (const { name, word, bytes } of kernel.operands) {
      const slice = operands[name];
      const entry = slice && buffers.get(slice.buffer);
      if (!entry || slice.offset % 4 !== 0 || slice.offset < 0 || slice.offset + bytes > slice.buffer.bytes) {
        checkOperands(kernel as unknown as Kernel, operands as unknown as Operands<OpName>);
        throw new OpError(`${kernel.op}: the buffer of operand "${name}" was freed, or is of another backend`);
      }
      blocks.push([word, entry, slice.offset]);
    }
    for (const [, { place }] of blocks) {
      if (!(place instanceof OutOfMemoryError)) continue;
      failure ??= place;
      return;
    }
    const at = words.take(kernel.words.length);
    words.words.set(kernel.words, at);
    for (const [word, entry, offset] of blocks) {
      const place = entry.place as Block;
      words.words[at + word] = place.address + offset;
      if (uses) uses.add(entry);
      else place.used = device.next;
    }
  };
  const known = (kernel: Kernel<never> | CpuKernel, operands: Given) => {
    if (!(kernel instanceof CpuKernel)) throw new OpError("dispatch: this kernel was not prepared by this backend");
    // A name that the op does not have is a mistake worth telling.
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

    has: (op) => opNames.includes(op),

    allocate(bytes, label) {
      ready("allocate");
      const labels = labelsOf(bytes, label);
      const buffer: Buffer = { bytes };
      try {
        buffers.set(buffer, { labels, place: take(bytes) });
        ledger.count(labels, 1);
      } catch (cause) {
        if (!(cause instanceof OutOfMemoryError)) throw cause;
        const names = Object.keys(labels).join(", ");
        const error = new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${ledger.live} of ${maxBytes} in use: ${cause.message}`, {
          cause,
        });
        buffers.set(buffer, { labels: {}, place: error });
        failure ??= error;
      }
      return buffer;
    },

    free(buffer) {
      ready("free");
      const { labels, place } = held("free", buffer);
      ledger.count(labels, -1);
      buffers.delete(buffer);
      if (!(place instanceof OutOfMemoryError)) heap.free(place);
    },

    write(target, data) {
      ready("write");
      checkRange("write", target, data.byteLength);
      const { place } = held("write", target.buffer);
      guard(() => {
        if (place instanceof OutOfMemoryError) throw place;
        write(place, target.offset, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      });
    },

    async read(source, bytes) {
      ready("read");
      checkRange("read", source, bytes);
      const { place } = held("read", source.buffer);
      settle();
      if (place instanceof OutOfMemoryError) throw place;
      flush();
      return await device.read(place, source.offset, bytes);
    },

    async prepare<N extends OpName>(op: N, spec: Spec<N>) {
      ready("prepare");
      const kernel = new CpuKernel(op, spec);
      makeRoom(kernel.scratch.shared, kernel.scratch.thread);
      return kernel;
    },

    dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>) {
      const given = operands as Given;
      const checked = known(kernel as unknown as CpuKernel, given);
      if (recording) {
        run(checked, given, recording.words, recording.held);
        recording.dispatches++;
        return;
      }
      ready("dispatch");
      run(checked, given, pending);
      enqueued();
    },

    record(body) {
      ready("record");
      const now = { words: new Words(), held: new Set<Held>(), dispatches: 0 };
      recording = now;
      try {
        body();
      } finally {
        recording = undefined;
      }
      const program: Program = { dispatches: now.dispatches };
      const words = now.words.flush();
      let place: Block | OutOfMemoryError;
      try {
        place = heap.allocate(4 * words.length).block;
        write(place, 0, new Uint8Array(words.buffer, 0, words.byteLength));
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
        place = error;
        failure ??= error;
      }
      programs.set(program, { held: now.held, place, words: words.length });
      return program;
    },

    replay(program) {
      ready("replay");
      const recorded = programs.get(program);
      if (!recorded) throw new OpError("replay: this program was released, or is of another backend");
      const { place, words, held } = recorded;
      if (place instanceof OutOfMemoryError) {
        failure ??= place;
        return;
      }
      for (const { place: used } of held) (used as Block).used = device.next;
      place.used = device.next;
      pending.push(head("replay", 3), place.address, words);
      enqueued();
    },

    release(program) {
      ready("release");
      const recorded = programs.get(program);
      if (!recorded) throw new OpError("release: this program was released, or is of another backend");
      programs.delete(program);
      if (!(recorded.place instanceof OutOfMemoryError)) heap.free(recorded.place);
    },

    async synchronise() {
      ready("synchronise");
      flush();
      await device.synchronise();
      settle();
    },

    memory: () => ledger.report(heap.size),

    resetPeak: () => ledger.resetPeak(),

    async dispose() {
      for (const { labels } of buffers.values()) ledger.count(labels, -1);
      buffers.clear();
      programs.clear();
      disposed ??= device.stop();
      await disposed;
    },
  };
}
