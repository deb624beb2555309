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
import { type Binding, bindingsOf, type Place, padded, usualGroups } from "./binding.js";
import { WebGpuError } from "./error.js";
import { WebGpuKernel } from "./kernel.js";
import { kernels } from "./kernels/index.js";
import patch from "./kernels/patch.wgsl";
import type { WebGpuOptions } from "./options.js";
import { Pipelines, uniformBytes } from "./pipelines.js";
import type { Stage } from "./stage.js";
import { type Started, start } from "./start.js";
import { type Bound, type Command, Stream } from "./stream.js";
import { mapRead, usage } from "./usage.js";

/** What a buffer holds: its bytes on the device, or why it has none. */
interface Held {
  labels: Readonly<Record<string, number>>;
  place: GPUBuffer | OutOfMemoryError;
}

interface Recorded {
  readonly commands: readonly Bound[];
  readonly uniforms: GPUBuffer;
  readonly buffers: ReadonlySet<Buffer>;
  /** The count of frees at which its buffers were last seen to be there. */
  checked: number;
  /** Whether a command's operands could not be allocated. */
  readonly failed: OutOfMemoryError | undefined;
}

type Given = Readonly<Record<string, Slice | undefined>>;

/** Rows of a prefill's matrix products: enough for tiles to keep a GPU busy; in software, where nothing is idle, fewer, for shorter waits. */
const prefillTokens = { hardware: 512, software: 128 } as const;

/**
 * The WebGPU backend: kernels in WGSL, in browsers, Node (with the npm package `webgpu`), Deno and Bun. Rejects with a `WebGpuError` where there is no
 * adapter, or an option makes no sense. Where the device is lost, `synchronise` and `read` reject with a `DeviceLostError` from then on.
 */
export async function webgpu(options: WebGpuOptions = {}): Promise<Backend> {
  return backendOf(await start(options));
}

function backendOf({ device, name, traits, maxBytes, lost }: Started): Backend {
  const { limits } = device;
  const ledger = new Ledger();
  const stream = new Stream(device);
  const pipelines = new Pipelines(device);
  const buffers = new Map<Buffer, Held>();
  const programs = new Map<Program, Recorded>();
  /** What kernels leave for their next stage; grows. Older ones live on while a program may use them. */
  let scratch: GPUBuffer | undefined;
  const retired: GPUBuffer[] = [];
  let recording: { commands: Command[]; buffers: Set<Buffer>; dispatches: number; failed?: OutOfMemoryError } | undefined;
  let failure: unknown;
  let gone: WebGpuError | undefined;
  /** What the device still has to answer. */
  const questions = new Set<Promise<void>>();
  let reserved = stream.bytes;
  let frees = 0;
  let flushing = false;
  let disposed = false;

  lost.then((error) => {
    if (!disposed) gone = error;
  });
  device.addEventListener("uncapturederror", ({ error }) => {
    failure ??= new WebGpuError(`the device reports: ${error.message}`);
  });

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
  const settle = () => {
    if (gone) throw gone;
    const error = failure;
    failure = undefined;
    if (error !== undefined) throw error;
  };
  /** Hands over before long. */
  const enqueued = () => {
    if (flushing || !stream.pending) return;
    flushing = true;
    queueMicrotask(() => {
      flushing = false;
      if (!disposed) stream.flush();
    });
  };
  const create = (size: number, purpose: number): GPUBuffer => {
    const buffer = device.createBuffer({ size, usage: purpose });
    reserved += size;
    return buffer;
  };
  const destroy = (buffer: GPUBuffer) => {
    reserved -= buffer.size;
    stream.destroy(buffer);
  };
  const ask = (question: Promise<void>) => {
    const asked = question.catch(() => {}).finally(() => questions.delete(asked));
    questions.add(asked);
  };
  /** Takes back what the ledger counted, of a buffer that the device could not give. */
  const refuse = (entry: Held, error: OutOfMemoryError) => {
    ledger.count(entry.labels, -1);
    entry.labels = {};
    entry.place = error;
    failure ??= error;
  };
  const makeScratch = (stages: readonly Stage[]) => {
    const bytes = Math.max(0, ...stages.flatMap(({ bound }) => Object.values(bound)).map(({ operand, bytes }) => (operand === "" ? bytes : 0)));
    if (bytes === 0 || (scratch && scratch.size >= bytes)) return;
    if (scratch && programs.size + (recording ? 1 : 0) > 0) retired.push(scratch);
    else if (scratch) destroy(scratch);
    scratch = create(padded(bytes), usage.storage);
  };

  const commandOf = (op: string, stage: Stage, bindings: readonly Binding[]): Command => {
    const uniforms = new Uint32Array(uniformBytes / 4);
    const floats = new Float32Array(uniforms.buffer);
    let word = 0;
    for (const { at } of bindings) for (const start of at) uniforms[word++] = start;
    for (const value of Object.values(stage.uniforms)) uniforms[word++] = value;
    for (const value of Object.values(stage.floats ?? {})) floats[word++] = value;
    if (bindings.length > limits.maxStorageBuffersPerShaderStage) {
      throw new OpError(
        `${op}: its operands lie in ${bindings.length} places, and this device binds ${limits.maxStorageBuffersPerShaderStage}; put tables, or K and V, in one buffer`,
      );
    }
    const groups = bindings.map(({ type, names, written }) => ({ type, names, written }));
    return { ...pipelines.get(stage, groups), bindings, uniforms, grid: stage.grid, work: stage.work };
  };
  const resolve = (kernel: WebGpuKernel, operands: Given, places: Readonly<Record<string, Place>>): Command[] => {
    const offsets = Object.fromEntries(Object.entries(operands).map(([name, slice]) => [name, slice?.offset ?? 0]));
    let stages = kernel.stages(offsets);
    const bindAll = () => stages.map((stage) => bindingsOf(kernel.op, stage, places, limits.maxStorageBufferBindingSize));
    let bindings = bindAll();
    if (stages !== kernel.narrow && bindings.some((all) => all.some(({ copied }) => copied))) {
      stages = kernel.narrow;
      bindings = bindAll();
    }
    return stages.map((stage, index) => commandOf(kernel.op, stage, bindings[index]!));
  };
  const known = (kernel: unknown): WebGpuKernel => {
    if (!(kernel instanceof WebGpuKernel)) throw new OpError("dispatch: this kernel was not prepared by this backend");
    return kernel as WebGpuKernel;
  };
  /** The operands' places; undefined where one has no memory, which is then told. */
  const placesOf = (kernel: WebGpuKernel, operands: Given): Record<string, Place> | undefined => {
    for (const name in operands) if (!kernel.needs.has(name)) checkOperands(kernel, operands as unknown as Operands<OpName>);
    const places: Record<string, Place> = {};
    for (const [name, bytes] of kernel.needs) {
      const slice = operands[name];
      const entry = slice && buffers.get(slice.buffer);
      if (!entry || slice.offset % 4 !== 0 || slice.offset < 0 || slice.offset + bytes > slice.buffer.bytes) {
        checkOperands(kernel, operands as unknown as Operands<OpName>);
        throw new OpError(`${kernel.op}: the buffer of operand "${name}" was freed, or is of another backend`);
      }
      if (entry.place instanceof OutOfMemoryError) {
        if (recording) recording.failed ??= entry.place;
        else failure ??= entry.place;
        return undefined;
      }
      places[name] = { buffer: entry.place, offset: slice.offset };
    }
    makeScratch(kernel.stages());
    if (scratch) places[""] = { buffer: scratch, offset: 0 };
    return places;
  };
  const patchWord = (buffer: GPUBuffer, offset: number, bytes: Uint8Array) => {
    const value = bytes.reduce((word, byte, i) => word | (byte << (8 * i)), 0);
    const stage: Stage = {
      text: patch,
      settings: {},
      bound: { out: { type: "u32", written: true, operand: "out", offset: 0, bytes: 4 } },
      uniforms: { mask: 2 ** (8 * bytes.length) - 1, value },
      grid: [1, 1, 1],
      work: 1,
    };
    const bindings = bindingsOf("write", stage, { out: { buffer, offset } }, limits.maxStorageBufferBindingSize);
    stream.run(commandOf("write", stage, bindings));
    enqueued();
  };

  return {
    info: {
      name: "webgpu",
      device: name,
      features: {
        subgroups: traits.subgroup > 0 ? traits.subgroup : false,
        maxBindingBytes: limits.maxStorageBufferBindingSize,
        maxBufferBytes: limits.maxBufferSize,
        workgroupBytes: traits.workgroupBytes,
        software: traits.software,
      },
      prefillTokens: traits.software ? prefillTokens.software : prefillTokens.hardware,
      maxBytes,
    },

    has: (op) => op in kernels,

    allocate(bytes, label) {
      ready("allocate");
      const labels = labelsOf(bytes, label);
      const buffer: Buffer = { bytes };
      const names = Object.keys(labels).join(", ");
      const entry: Held = { labels, place: new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}`) };
      buffers.set(buffer, entry);
      ledger.count(labels, 1);
      if (padded(bytes) > limits.maxBufferSize || ledger.live > maxBytes) {
        const bound = padded(bytes) > limits.maxBufferSize ? `a buffer of this device holds ${limits.maxBufferSize}` : `of ${maxBytes} in use`;
        refuse(entry, new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${ledger.live - bytes} in use; ${bound}`));
        return buffer;
      }
      device.pushErrorScope("out-of-memory");
      const place = create(padded(bytes), usage.storage | usage.copySource | usage.copyTarget);
      entry.place = place;
      ask(
        device.popErrorScope().then((error) => {
          if (!error || !buffers.has(buffer)) return;
          destroy(place);
          refuse(entry, new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${ledger.live - bytes} in use: ${error.message}`));
        }),
      );
      return buffer;
    },

    free(buffer) {
      ready("free");
      const { labels, place } = held("free", buffer);
      ledger.count(labels, -1);
      buffers.delete(buffer);
      frees++;
      if (!(place instanceof OutOfMemoryError)) destroy(place);
    },

    write(target, data) {
      ready("write");
      checkRange("write", target, data.byteLength);
      const { place } = held("write", target.buffer);
      if (place instanceof OutOfMemoryError) {
        failure ??= place;
        return;
      }
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const whole = bytes.length - (bytes.length % 4);
      if (whole > 0) stream.write(place, target.offset, bytes.subarray(0, whole));
      if (whole < bytes.length) patchWord(place, target.offset + whole, bytes.subarray(whole));
    },

    async read(source, bytes) {
      ready("read");
      checkRange("read", source, bytes);
      const { place } = held("read", source.buffer);
      if (place instanceof OutOfMemoryError) {
        settle();
        throw place;
      }
      const staging = create(Math.max(4, Math.ceil(bytes / 4) * 4), usage.mapRead | usage.copyTarget);
      try {
        stream.copy(place, source.offset, staging, staging.size);
        stream.flush();
        await staging.mapAsync(mapRead).catch(async (cause) => {
          // A device that is going tells why a moment later.
          gone ??= await Promise.race([lost, new Promise<undefined>((done) => setTimeout(done, 100))]);
          settle();
          throw new WebGpuError(`read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
        });
        await Promise.all(questions);
        settle();
        return new Uint8Array(staging.getMappedRange().slice(0, bytes));
      } finally {
        if (!disposed) destroy(staging);
      }
    },

    async prepare<N extends OpName>(op: N, spec: Spec<N>) {
      ready("prepare");
      const kernel = new WebGpuKernel(op, spec, traits);
      const stages = kernel.stages();
      makeScratch(stages);
      try {
        await Promise.all(stages.map((stage) => pipelines.prepare(stage, usualGroups(stage))));
      } catch (cause) {
        settle();
        throw new WebGpuError(`${op}: the device does not compile this kernel: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }
      return kernel as unknown as Kernel<N>;
    },

    dispatch<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>) {
      if (!recording) ready("dispatch");
      const own = known(kernel);
      const given = operands as Given;
      const places = placesOf(own, given);
      if (recording) {
        for (const slice of Object.values(given)) if (slice) recording.buffers.add(slice.buffer);
        recording.dispatches++;
      }
      if (!places) return;
      const commands = resolve(own, given, places);
      if (recording) recording.commands.push(...commands);
      else for (const command of commands) stream.run(command);
      enqueued();
    },

    record(body) {
      ready("record");
      recording = { commands: [], buffers: new Set(), dispatches: 0 };
      const now = recording;
      try {
        body();
      } finally {
        recording = undefined;
      }
      const program: Program = { dispatches: now.dispatches };
      const slots = new Uint32Array((Math.max(1, now.commands.length) * uniformBytes) / 4);
      now.commands.forEach(({ uniforms }, slot) => slots.set(uniforms, (slot * uniformBytes) / 4));
      const uniforms = create(slots.byteLength, usage.uniform | usage.copyTarget);
      device.queue.writeBuffer(uniforms, 0, slots);
      const commands = now.commands.map((command, slot) => stream.bind(command, uniforms, slot * uniformBytes));
      programs.set(program, { commands, uniforms, buffers: now.buffers, checked: frees, failed: now.failed });
      return program;
    },

    replay(program) {
      ready("replay");
      const recorded = programs.get(program);
      if (!recorded) throw new OpError("replay: this program was released, or is of another backend");
      if (recorded.checked !== frees) {
        for (const buffer of recorded.buffers) {
          if (!buffers.has(buffer)) throw new OpError(`replay: a buffer of ${buffer.bytes} bytes that this program uses was freed`);
        }
        recorded.checked = frees;
      }
      if (recorded.failed) {
        failure ??= recorded.failed;
        return;
      }
      for (const command of recorded.commands) stream.encode(command);
      enqueued();
    },

    release(program) {
      ready("release");
      const recorded = programs.get(program);
      if (!recorded) throw new OpError("release: this program was released, or is of another backend");
      programs.delete(program);
      destroy(recorded.uniforms);
      for (const { copies } of recorded.commands) for (const { target } of copies) stream.destroy(target);
      if (programs.size === 0) for (const buffer of retired.splice(0)) destroy(buffer);
    },

    async synchronise() {
      ready("synchronise");
      stream.flush();
      await Promise.race([device.queue.onSubmittedWorkDone().catch(() => {}), lost]);
      await Promise.all(questions);
      settle();
    },

    memory: () => ledger.report(reserved),

    resetPeak: () => ledger.resetPeak(),

    async dispose() {
      if (disposed) return;
      disposed = true;
      for (const { labels } of buffers.values()) ledger.count(labels, -1);
      buffers.clear();
      programs.clear();
      stream.flush();
      // What runs may end; destroying the device frees every buffer.
      await Promise.race([device.queue.onSubmittedWorkDone().catch(() => {}), lost]);
      device.destroy();
      reserved = 0;
    },
  };
}
