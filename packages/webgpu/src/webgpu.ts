import { type Backend, type Kernel, type OpName, OutOfMemoryError, type Spec } from "@ziggurat/tensor";
import { usualGroups } from "./binding.js";
import { reported, WebGpuError } from "./error.js";
import { Failures } from "./failures.js";
import { WebGpuKernel } from "./kernel.js";
import { Memory } from "./memory.js";
import type { WebGpuOptions } from "./options.js";
import { Pace } from "./pace.js";
import { Pipelines } from "./pipelines.js";
import type { GpuProfile } from "./profile.js";
import { Programs } from "./programs.js";
import { type Given, Resolver } from "./resolver.js";
import { type Started, start } from "./start.js";
import { Stream } from "./stream.js";
import { mapRead, usage } from "./usage.js";

/**
 * Rows of a prefill's matrix products: enough tiles to keep a GPU busy, and more if bindings are large. In software
 * nothing is idle, so there are fewer.
 */
const prefillTokens = { large: 2048, hardware: 512, software: 128 } as const;

/** Dispatches that are submitted without waiting for more. */
const worthSubmitting = 32;

/**
 * Opens the WebGPU backend: WGSL kernels for browsers, Node (with the npm package `webgpu`), Deno and Bun. Rejects with
 * a `WebGpuError` if there is no adapter or an option is invalid. If the device is lost, `synchronise` and `read`
 * reject with a `DeviceLostError` from then on.
 */
export async function webgpu(options: WebGpuOptions = {}): Promise<Backend> {
  return backendOf(await start(options), options.profile);
}

function backendOf({ device, name, traits, maxBytes, lost }: Started, profile?: GpuProfile): Backend {
  const { limits } = device;
  const failures = new Failures(lost);
  const pace = new Pace(traits.software);
  const stream = new Stream(device, pace, profile);
  const pipelines = new Pipelines(device);
  const memory = new Memory(device, stream, failures, maxBytes);
  const resolver = new Resolver(device, traits, pipelines, memory, pace);
  const programs = new Programs(device, traits, stream, memory, resolver);
  let flushing: "soon" | "later" | undefined;
  let disposed = false;

  lost.then((error) => {
    if (!disposed) failures.lose(error);
  });
  device.addEventListener("uncapturederror", ({ error }) => failures.note(reported(error)));

  /** Schedules a flush: soon if many dispatches are queued, otherwise together with the ones that follow. */
  const enqueued = () => {
    const soon = stream.dispatches >= worthSubmitting;
    if (!stream.pending || flushing === "soon" || (flushing === "later" && !soon)) return;
    const flush = () => {
      flushing = undefined;
      if (!disposed) stream.flush();
    };
    flushing = soon ? "soon" : "later";
    if (soon) queueMicrotask(flush);
    else setTimeout(flush);
  };

  return {
    info: {
      name: "webgpu",
      device: name,
      features: {
        subgroups: traits.subgroup > 0 ? traits.subgroup : false,
        subgroupMatrix: traits.matrix,
        packedDots: traits.dots,
        shaderF16: traits.half,
        maxBindingBytes: traits.bindingBytes,
        maxBufferBytes: limits.maxBufferSize,
        workgroupBytes: traits.workgroupBytes,
        software: traits.software,
      },
      prefillTokens: traits.software
        ? prefillTokens.software
        : traits.bindingBytes >= 2 ** 29
          ? prefillTokens.large
          : prefillTokens.hardware,
      maxBytes,
    },

    allocate(bytes, label) {
      programs.checkIdle("allocate");
      return memory.allocate(bytes, label);
    },

    free(buffer) {
      programs.checkIdle("free");
      memory.free(buffer);
    },

    write(target, data) {
      programs.checkIdle("write");
      const { place } = memory.buffers.range("write", target, data.byteLength);
      if (place instanceof OutOfMemoryError) return failures.note(place);
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      const whole = bytes.length - (bytes.length % 4);
      if (whole > 0) stream.write(place, target.offset, bytes.subarray(0, whole));
      if (whole < bytes.length) stream.run(resolver.patch(place, target.offset + whole, bytes.subarray(whole)));
      enqueued();
    },

    async read(source, bytes) {
      programs.checkIdle("read");
      const { place } = memory.buffers.range("read", source, bytes);
      if (place instanceof OutOfMemoryError) {
        failures.settle();
        throw place;
      }
      const staging = memory.create(Math.max(4, Math.ceil(bytes / 4) * 4), usage.mapRead | usage.copyTarget);
      try {
        stream.copy(place, source.offset, staging, staging.size);
        stream.flush();
        await staging.mapAsync(mapRead).catch(async (cause) => {
          await failures.last();
          failures.settle();
          throw new WebGpuError(`read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
        });
        await memory.answered();
        failures.settle();
        return new Uint8Array(staging.getMappedRange().slice(0, bytes));
      } finally {
        if (!disposed) memory.destroy(staging);
      }
    },

    async prepare<N extends OpName>(op: N, spec: Spec<N>) {
      programs.checkIdle("prepare");
      const kernel = new WebGpuKernel(op, spec, traits);
      const stages = kernel.stages();
      resolver.scratch(stages, programs.keep);
      try {
        await Promise.all(stages.map((stage) => pipelines.prepare(stage, usualGroups(stage))));
      } catch (cause) {
        await failures.last();
        failures.settle();
        throw new WebGpuError(
          `${op}: the device does not compile this kernel: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause },
        );
      }
      return kernel as unknown as Kernel<N>;
    },

    dispatch(kernel, operands) {
      const { recording } = programs;
      if (!recording) programs.checkIdle("dispatch");
      const given = operands as Given;
      const checked = resolver.check(kernel, given);
      if (recording) {
        recording.push({ kernel: checked, operands: given });
        return;
      }
      const commands = resolver.resolve(checked, given, programs.keep);
      if (commands instanceof OutOfMemoryError) return failures.note(commands);
      for (const command of commands) stream.run(command);
      enqueued();
    },

    record(body) {
      programs.checkIdle("record");
      return programs.record(body);
    },

    replay(program) {
      programs.checkIdle("replay");
      const failed = programs.replay(program);
      if (failed) failures.note(failed);
      enqueued();
    },

    release(program) {
      programs.checkIdle("release");
      programs.release(program);
    },

    async synchronise() {
      programs.checkIdle("synchronise");
      stream.flush();
      await failures.outlast(device.queue.onSubmittedWorkDone());
      await memory.answered();
      failures.settle();
    },

    memory: () => memory.report(),

    resetPeak: () => memory.buffers.resetPeak(),

    async dispose() {
      if (disposed) return;
      disposed = true;
      programs.clear();
      stream.flush();
      // Running commands may finish; destroying the device frees every buffer.
      await failures.outlast(device.queue.onSubmittedWorkDone());
      device.destroy();
      memory.dispose();
    },
  };
}
