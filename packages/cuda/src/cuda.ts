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
import { type Binaries, findBinaries, loadAddon, loadKernels } from "./addon.js";
import { Device } from "./device.js";
import { CudaError } from "./error.js";
import { type Bindable, Fuser, mayOverlap, type Recordable } from "./fused.js";
import { CudaKernel, type Encodable } from "./kernel.js";
import { counters, counterWords, joined, scratch, serialised } from "./launch.js";
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

/** What a buffer holds. */
interface Held {
  readonly id: number;
  lost: OutOfMemoryError | undefined;
}

interface Recorded {
  readonly id: number;
  readonly buffers: ReadonlySet<Buffer>;
  readonly scratch: ReadonlySet<number>;
}

interface Recording {
  readonly dispatches: Recordable[];
  readonly buffers: Set<Buffer>;
  readonly scratch: Set<number>;
}

type Given = Readonly<Record<string, Slice | undefined>>;

/** Measured: with more rows, matrix products are hardly faster and the workspace grows. */
const prefillTokens = 2048;

/**
 * Opens the CUDA backend: an NVIDIA GPU of compute capability 8.0 or higher, in Node on Linux. It needs only the
 * driver. The caller's thread never waits for the device. Rejects with a {@link CudaError} if an option is invalid, or
 * if there is no driver, no such device or no binaries for this machine.
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
  const buffers = new BufferTable<Held>();
  const byId = new Map<number, Buffer>();
  const lose = (ids: readonly number[]) => {
    for (const buffer of ids.flatMap((id) => byId.get(id) ?? [])) {
      buffers.uncount(buffer);
      buffers.get(buffer)!.lost = new OutOfMemoryError("this buffer got no memory from the device");
    }
  };
  return backendOf(
    new Device(addon, images, { ordinal: device, cublasLt: cublasLt === false ? undefined : cublasLt }, lose),
    maxBytes,
    { buffers, byId },
  );
}

interface Books {
  readonly buffers: BufferTable<Held>;
  readonly byId: Map<number, Buffer>;
}

function backendOf(device: Device, ceiling: number | undefined, { buffers, byId }: Books): Backend {
  const { facts } = device;
  const maxBytes = ceiling ?? facts.freeBytes;
  const place = {
    multiprocessors: facts.multiprocessors,
    hopper: facts.major === 9 && facts.minor === 0 && device.has("attention.sm90a"),
    cublasLt: facts.cublasLt === 1,
  };
  const programs = new ProgramTable<Recorded, Recording>(buffers);
  const room = new Scratch(device);
  const fuser = new Fuser(place, (launch) => device.kernel(launch));
  /** Zeroed words, allocated when first used. */
  let counterId: number | undefined;
  let failure: unknown;
  let disposed: Promise<void> | undefined;

  const settle = () => {
    const error = failure;
    failure = undefined;
    if (error !== undefined) throw error;
  };

  /** Launches with their addresses filled in, or undefined where a buffer has no memory. */
  const bind = (kernel: Encodable, operands: Given, recording?: Recording): Uint8Array | undefined => {
    let aligned = true;
    let lost: OutOfMemoryError | undefined;
    const places = new Map<string, readonly [id: number, offset: number]>();
    for (const { name, bytes } of kernel.operands) {
      const entry = buffers.operand(kernel as unknown as Kernel, operands, name, bytes);
      const { buffer, offset } = operands[name]!;
      lost ??= entry.lost;
      aligned &&= offset % 16 === 0;
      recording?.buffers.add(buffer);
      places.set(name, [entry.id, offset]);
    }
    // A name that the op does not have is a mistake worth telling.
    for (const name in operands) {
      if (!kernel.names.has(name)) checkOperands(kernel as unknown as Kernel, operands as unknown as Operands<OpName>);
    }
    if (lost) {
      failure ??= lost;
      return undefined;
    }
    const { bytes, view, patches, scratch: needed, counters: counts } = kernel.encoded(aligned);
    if (counts) {
      if (counterId === undefined) device.allocate((counterId = device.id()), 4 * counterWords);
      places.set(counters, [counterId, 0]);
    }
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

    allocate(bytes, label) {
      programs.checkIdle("allocate");
      const labels = labelsOf(bytes, label);
      const id = device.id();
      if (buffers.live + bytes > maxBytes) {
        const names = Object.keys(labels).join(", ");
        const lost = new OutOfMemoryError(
          `allocate: ${bytes} bytes for ${names}, with ${buffers.live} of ${maxBytes} in use`,
        );
        failure ??= lost;
        return buffers.add(bytes, {}, { id, lost });
      }
      const buffer = buffers.add(bytes, labels, { id, lost: undefined });
      byId.set(id, buffer);
      device.allocate(id, bytes);
      return buffer;
    },

    free(buffer) {
      programs.checkIdle("free");
      const { id } = buffers.remove("free", buffer);
      byId.delete(id);
      device.free(id);
    },

    write(target, data) {
      programs.checkIdle("write");
      const { id, lost } = buffers.range("write", target, data.byteLength);
      if (lost) failure ??= lost;
      else device.write(id, target.offset, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    },

    async read(source, bytes) {
      programs.checkIdle("read");
      const { id, lost } = buffers.range("read", source, bytes);
      settle();
      if (lost) throw lost;
      const { error, data } = await device.read(id, source.offset, bytes);
      if (error) throw error;
      return data;
    },

    async prepare<N extends OpName>(op: N, spec: Spec<N>) {
      programs.checkIdle("prepare");
      return new CudaKernel(op, spec, place, (launch) => device.kernel(launch));
    },

    dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>) {
      const { recording } = programs;
      if (!recording) programs.checkIdle("dispatch");
      if (!(kernel instanceof CudaKernel)) throw new OpError("dispatch: this kernel was not prepared by this backend");
      const given = { ...operands } as Given;
      const commands = bind(kernel as unknown as CudaKernel, given, recording);
      if (recording) recording.dispatches.push({ kernel: kernel as unknown as CudaKernel, operands: given });
      else if (commands) device.launch(commands);
    },

    record(body) {
      programs.checkIdle("record");
      const now: Recording = { dispatches: [], buffers: new Set(), scratch: new Set() };
      let parts: (Uint8Array | undefined)[];
      try {
        programs.record(now, body);
        let before: Bindable | undefined;
        parts = fuser.fuse(now.dispatches).map((next) => {
          const part = bind(next.kernel, next.operands, now)?.slice();
          const overlaps = mayOverlap(before, next);
          before = next;
          return part && !overlaps ? serialised(part) : part;
        });
      } catch (error) {
        for (const id of now.scratch) room.drop(id);
        throw error;
      }
      const id = device.id();
      device.record(id, joined(parts));
      return programs.add(now.dispatches.length, now.buffers, { id, buffers: now.buffers, scratch: now.scratch });
    },

    replay(program) {
      programs.checkIdle("replay");
      const recorded = programs.replay(program);
      for (const buffer of recorded.buffers) {
        const { lost } = buffers.get(buffer)!;
        if (lost) {
          failure ??= lost;
          return;
        }
      }
      device.replay(recorded.id);
    },

    release(program) {
      programs.checkIdle("release");
      const recorded = programs.release(program);
      device.release(recorded.id);
      for (const scratchId of recorded.scratch) room.drop(scratchId);
    },

    async synchronise() {
      programs.checkIdle("synchronise");
      const before = failure;
      failure = undefined;
      const { error } = await device.synchronise();
      if (before !== undefined) throw before;
      if (error) throw error;
    },

    memory: () => buffers.report(disposed ? buffers.live : Math.max(buffers.live, device.reserved())),

    resetPeak: () => buffers.resetPeak(),

    async dispose() {
      buffers.dispose();
      byId.clear();
      programs.clear();
      disposed ??= device.close();
      await disposed;
    },
  };
}
