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
  type Program,
  type Slice,
  type Spec,
} from "@ziggurat/tensor";
import { type Binaries, findBinaries, loadAddon, loadKernels } from "./addon.js";
import { Device } from "./device.js";
import { CudaError } from "./error.js";
import { CudaKernel } from "./kernel.js";
import { scratch } from "./launch.js";
import { plans } from "./plan.js";
import { Scratch } from "./scratch.js";

export interface CudaOptions {
  /** Index of the device in the order of the driver; default 0. */
  readonly device?: number;
  /** The most bytes that all buffers may take together; default: the bytes that are free on the device now. */
  readonly maxBytes?: number;
  /**
   * The path of NVIDIA's libcublasLt.so, which computes large products of 16-bit matrices, or false for none. Default:
   * the one that the system's loader finds, if any. Without it, kernels of this package compute them, more slowly.
   */
  readonly cublasLt?: string | false;
  /** The addon and the kernels; default: those of `@ziggurat/cuda-<platform>-<arch>`. */
  readonly binaries?: Binaries;
}

/** What a buffer holds. A buffer that got no memory counts nothing. */
interface Held {
  readonly id: number;
  labels: Readonly<Record<string, number>>;
  lost: OutOfMemoryError | undefined;
}

interface Recorded {
  readonly id: number;
  readonly held: ReadonlySet<Held>;
  readonly scratch: ReadonlySet<number>;
}

type Given = Readonly<Record<string, Slice | undefined>>;

/** Measured: with more rows, matrix products are hardly faster and the workspace grows. */
const prefillTokens = 2048;

/**
 * Opens the CUDA backend: an NVIDIA GPU of compute capability 8.0 or higher, in Node on Linux. It needs only the
 * driver. The caller's thread never waits for the device. Rejects with a {@link CudaError} if an option is invalid, or if there
 * is no driver, no such device or no binaries for this machine.
 */
export async function cuda(options: CudaOptions = {}): Promise<Backend> {
  const { device = 0, maxBytes, cublasLt = "" } = options;
  if (!Number.isSafeInteger(device) || device < 0)
    throw new CudaError(`device is ${device}; it must be a whole number of at least 0`);
  if (maxBytes !== undefined && !(maxBytes > 0))
    throw new CudaError(`maxBytes is ${maxBytes}; it must be a number above 0`);
  if (cublasLt !== false && typeof cublasLt !== "string")
    throw new CudaError(`cublasLt is ${String(cublasLt)}; it must be a path, or false`);
  const binaries = options.binaries ?? (await findBinaries());
  const addon = loadAddon(binaries.addon);
  const reason = addon.probe();
  if (reason !== undefined)
    throw new CudaError(`CUDA cannot be used here: ${reason}; use another backend, or install NVIDIA's driver`);
  const images = await loadKernels(binaries.kernels);
  const buffers = new Map<Buffer, Held>();
  const byId = new Map<number, Held>();
  const ledger = new Ledger();
  const lose = (ids: readonly number[]) => {
    for (const held of ids.flatMap((id) => byId.get(id) ?? [])) {
      ledger.count(held.labels, -1);
      held.labels = {};
      held.lost = new OutOfMemoryError("this buffer got no memory from the device");
    }
  };
  return backendOf(
    new Device(addon, images, { ordinal: device, cublasLt: cublasLt === false ? undefined : cublasLt }, lose),
    maxBytes,
    {
      buffers,
      byId,
      ledger,
    },
  );
}

interface Books {
  readonly buffers: Map<Buffer, Held>;
  readonly byId: Map<number, Held>;
  readonly ledger: Ledger;
}

function backendOf(device: Device, ceiling: number | undefined, { buffers, byId, ledger }: Books): Backend {
  const { facts } = device;
  const maxBytes = ceiling ?? facts.freeBytes;
  const place = {
    multiprocessors: facts.multiprocessors,
    hopper: facts.major === 9 && facts.minor === 0 && device.has("attention.sm90a"),
    cublasLt: facts.cublasLt === 1,
  };
  const programs = new Map<Program, Recorded>();
  const room = new Scratch(device);
  let recording: { commands: Uint8Array[]; held: Set<Held>; scratch: Set<number>; dispatches: number } | undefined;
  let failure: unknown;
  let disposed: Promise<void> | undefined;

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
  const settle = () => {
    const error = failure;
    failure = undefined;
    if (error !== undefined) throw error;
  };

  /** Launches with their addresses filled in, or undefined where a buffer has no memory. */
  const bind = (kernel: CudaKernel, operands: Given): Uint8Array | undefined => {
    let aligned = true;
    let lost: OutOfMemoryError | undefined;
    const places = new Map<string, readonly [id: number, offset: number]>();
    for (const { name, bytes } of kernel.operands) {
      const slice = operands[name];
      const entry = slice && buffers.get(slice.buffer);
      if (!entry || slice.offset % 4 !== 0 || slice.offset < 0 || slice.offset + bytes > slice.buffer.bytes) {
        checkOperands(kernel as unknown as Kernel, operands as unknown as Operands<OpName>);
        throw new OpError(`${kernel.op}: the buffer of operand "${name}" was freed, or is of another backend`);
      }
      lost ??= entry.lost;
      aligned &&= slice.offset % 16 === 0;
      recording?.held.add(entry);
      places.set(name, [entry.id, slice.offset]);
    }
    // A name that the op does not have is a mistake worth telling.
    for (const name in operands) {
      if (!kernel.names.has(name)) checkOperands(kernel as unknown as Kernel, operands as unknown as Operands<OpName>);
    }
    if (lost) {
      failure ??= lost;
      return undefined;
    }
    const { bytes, view, patches, scratch: needed } = kernel.encoded(aligned);
    if (needed > 0) {
      const id = room.need(needed);
      places.set(scratch, [id, 0]);
      if (recording && !recording.scratch.has(id)) {
        recording.scratch.add(id);
        room.hold(id);
      }
    }
    for (const { byte, operand, offset } of patches) {
      const [id, start] = places.get(operand)!;
      view.setUint32(byte, id, true);
      view.setUint32(byte + 4, start + offset, true);
      view.setUint32(byte + 8, Math.floor((start + offset) / 2 ** 32), true);
    }
    return bytes;
  };

  return {
    info: {
      name: "cuda",
      device: facts.name,
      features: {
        computeCapability: `${facts.major}.${facts.minor}`,
        multiprocessors: facts.multiprocessors,
        driver: `${Math.floor(facts.driver / 1000)}.${Math.floor((facts.driver % 1000) / 10)}`,
        cublasLt: place.cublasLt,
        graphs: true,
      },
      prefillTokens,
      maxBytes,
    },

    has: (op) => Object.hasOwn(plans, op),

    allocate(bytes, label) {
      ready("allocate");
      const labels = labelsOf(bytes, label);
      const buffer: Buffer = { bytes };
      const id = device.id();
      if (ledger.live + bytes > maxBytes) {
        const names = Object.keys(labels).join(", ");
        const lost = new OutOfMemoryError(
          `allocate: ${bytes} bytes for ${names}, with ${ledger.live} of ${maxBytes} in use`,
        );
        failure ??= lost;
        buffers.set(buffer, { id, labels: {}, lost });
        return buffer;
      }
      const entry: Held = { id, labels, lost: undefined };
      buffers.set(buffer, entry);
      byId.set(id, entry);
      ledger.count(labels, 1);
      device.allocate(id, bytes);
      return buffer;
    },

    free(buffer) {
      ready("free");
      const { id, labels } = held("free", buffer);
      ledger.count(labels, -1);
      buffers.delete(buffer);
      byId.delete(id);
      device.free(id);
    },

    write(target, data) {
      ready("write");
      checkRange("write", target, data.byteLength);
      const { id, lost } = held("write", target.buffer);
      if (lost) failure ??= lost;
      else device.write(id, target.offset, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    },

    async read(source, bytes) {
      ready("read");
      checkRange("read", source, bytes);
      const { id, lost } = held("read", source.buffer);
      settle();
      if (lost) throw lost;
      const { error, data } = await device.read(id, source.offset, bytes);
      if (error) throw error;
      return data;
    },

    async prepare<N extends OpName>(op: N, spec: Spec<N>) {
      ready("prepare");
      return new CudaKernel(op, spec, place, (launch) => device.kernel(launch));
    },

    dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>) {
      if (!recording) ready("dispatch");
      if (!(kernel instanceof CudaKernel)) throw new OpError("dispatch: this kernel was not prepared by this backend");
      const commands = bind(kernel as unknown as CudaKernel, operands as Given);
      if (recording) recording.dispatches++;
      if (commands && recording) recording.commands.push(commands.slice());
      else if (commands) device.launch(commands);
    },

    record(body) {
      ready("record");
      const now = { commands: [] as Uint8Array[], held: new Set<Held>(), scratch: new Set<number>(), dispatches: 0 };
      recording = now;
      try {
        body();
      } catch (error) {
        for (const id of now.scratch) room.drop(id);
        throw error;
      } finally {
        recording = undefined;
      }
      const commands = new Uint8Array(now.commands.reduce((sum, part) => sum + part.length, 0));
      let end = 0;
      for (const part of now.commands) {
        commands.set(part, end);
        end += part.length;
      }
      const program: Program = { dispatches: now.dispatches };
      const id = device.id();
      programs.set(program, { id, held: now.held, scratch: now.scratch });
      device.record(id, commands);
      return program;
    },

    replay(program) {
      ready("replay");
      const recorded = programs.get(program);
      if (!recorded) throw new OpError("replay: this program was released, or is of another backend");
      for (const { id, lost } of recorded.held) {
        if (lost) {
          failure ??= lost;
          return;
        }
        if (!byId.has(id)) throw new OpError("replay: a buffer that this program uses was freed");
      }
      device.replay(recorded.id);
    },

    release(program) {
      ready("release");
      const recorded = programs.get(program);
      if (!recorded) throw new OpError("release: this program was released, or is of another backend");
      programs.delete(program);
      device.release(recorded.id);
      for (const scratchId of recorded.scratch) room.drop(scratchId);
    },

    async synchronise() {
      ready("synchronise");
      const before = failure;
      failure = undefined;
      const { error } = await device.synchronise();
      if (before !== undefined) throw before;
      if (error) throw error;
    },

    memory: () => ledger.report(disposed ? ledger.live : Math.max(ledger.live, device.reserved())),

    resetPeak: () => ledger.resetPeak(),

    async dispose() {
      for (const { labels } of buffers.values()) ledger.count(labels, -1);
      buffers.clear();
      byId.clear();
      programs.clear();
      disposed ??= device.close();
      await disposed;
    },
  };
}
