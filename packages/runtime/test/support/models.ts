import { type Checkpoint, checkpoint } from "@ziggurat/bench-kit/fixtures";
import { cpu } from "@ziggurat/cpu";
import { h2o } from "@ziggurat/h2o";
import {
  afterPrefill,
  every,
  first,
  last,
  type Policy,
  perHead,
  randomScore,
  sinksAndRecent,
  whenOver,
} from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { loadModel, type Model } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import { type Backend, type RowDType, reference } from "@ziggurat/tensor";
import { afterAll } from "vitest";

export const backends = {
  reference: async (): Promise<Backend> => reference(),
  cpu: (): Promise<Backend> => cpu({ threads: 1 }),
} as const;
export type BackendName = keyof typeof backends;
export const backendNames = Object.keys(backends) as BackendName[];

/** Backends of one test file, disposed of at its end. */
const made: Backend[] = [];
afterAll(async () => {
  for (const backend of made.splice(0)) await backend.dispose();
});

export async function backendOf(name: BackendName): Promise<Backend> {
  const backend = await backends[name]();
  made.push(backend);
  return backend;
}

/** A tiny model on a new backend. */
export async function tinyModel(
  name: BackendName,
  what: Checkpoint = checkpoint(),
  rows: RowDType = "f32",
): Promise<Model> {
  return loadModel(what.files, { backend: await backendOf(name), rows });
}

/** Two budgets per layer, one per KV head of the tiny model; compressed after every message and every third token. */
export const ragged = (few: number, more: number): Policy => ({
  name: "ragged",
  budget: perHead(few, more),
  score: randomScore(3),
  protect: last(2),
  schedule: (step) => afterPrefill()(step) || every(3)(step),
});

/** Evicts in another layer at every step, so that many kinds of step alternate: `period` of them. */
export const alternating = (keep: number, period: number): Policy => ({
  name: "alternating",
  budget: ({ layers }) => layers.map(() => keep),
  score: randomScore(5),
  protect: first(1),
  schedule: ({ phase, layer, seen, excess }) =>
    phase === "prefill" || (excess > 0 && ((seen % period) >> layer) % 2 === 0),
});

/** Every kind of policy, small enough to evict much. */
export const evicting = (keep = 12): readonly Policy[] => [
  streaming({ keep, sinks: 2 }),
  h2o({ keep, recent: 4 }),
  snapkv({ keep, window: 5, kernel: 3 }),
  pyramidkv({ keep, window: 4, kernel: 3, beta: 4 }),
  sinksAndRecent({ keep, sinks: 2 }),
  ragged(keep - 5, keep + 2),
  { ...snapkv({ keep, window: 4, kernel: 5, pooling: "average" }), name: "snapkv rolling", schedule: whenOver() },
];
