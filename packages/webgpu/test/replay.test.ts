import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { type GenerateOptions, generate, loadModel } from "@ziggurat/runtime";
import { streaming } from "@ziggurat/streaming";
import type { Backend, Program } from "@ziggurat/tensor";
import { expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { adapterThere } from "./gpu.js";
import { opened } from "./support/opened.js";

// The cost of a decode step beside its kernels.

const prompt = randomIds(40, 1);
const load = (backend: Backend) => loadModel(checkpoint().files, { backend, rows: "f32" });
const policy = streaming({ keep: 20, sinks: 2 });

testWith(
  adapterThere,
  "replayed steps create no buffer, bind group or pipeline on the device; each batch of ids is read through one buffer",
  async () => {
    const { backend, device } = await opened();
    const made: string[] = [];
    for (const name of [
      "createBuffer",
      "createBindGroup",
      "createComputePipeline",
      "createComputePipelineAsync",
    ] as const) {
      const original = device[name].bind(device) as (...given: unknown[]) => never;
      device[name] = (...given: unknown[]) => {
        made.push(name);
        return original(...given);
      };
    }
    const model = await load(backend);
    const steps: number[] = [];
    const later: string[][] = [];
    for await (const { ids } of generate({ model, policy, prompt, maxTokens: 34, ignoreEnd: true, readEvery: 8 })) {
      steps.push(ids.length);
      later.push(made.splice(0));
    }
    expect(steps).toEqual([1, 8, 8, 8, 8, 1]);
    // The first batch of steps is recorded; all later ones are replayed.
    for (const batch of later.slice(2)) expect(batch).toEqual(["createBuffer"]);
    expect(later[1]).toContain("createBindGroup");
    await backend.dispose();
  },
);

testWith(
  adapterThere,
  "an end that is noticed late costs at most the rest of its batch of ids, and changes nothing",
  async () => {
    const { backend } = await opened();
    let replays = 0;
    const replay = (program: Program) => {
      // Sampling a token is a separate program of one op.
      if (program.dispatches > 8) replays++;
      backend.replay(program);
    };
    const counted: Backend = { ...backend, replay };
    const model = await load(counted);
    const run = async (change: Partial<GenerateOptions>) => {
      replays = 0;
      const { ids, finishReason, cache } = await generate({
        model,
        policy,
        prompt,
        maxTokens: 28,
        ignoreEnd: true,
        kept: true,
        ...change,
      }).result;
      return { ids, finishReason, kept: cache.kept, replays };
    };
    const { ids } = await run({});
    // A token that first appears after several others.
    const at = ids.findIndex((id, index) => index >= 6 && index % 8 !== 0 && ids.indexOf(id) === index);
    expect(at).toBeGreaterThan(0);
    const stopTokens = [ids[at]!];
    const { replays: few, ...often } = await run({ stopTokens, readEvery: 1 });
    expect(often).toMatchObject({ ids: ids.slice(0, at), finishReason: "stop" });
    expect(few).toBe(at);
    for (const readEvery of [8, 20]) {
      const { replays: more, ...seldom } = await run({ stopTokens, readEvery });
      expect(seldom).toEqual(often);
      expect(more).toBeLessThan(few + readEvery);
    }
    await backend.dispose();
  },
  300_000,
);
