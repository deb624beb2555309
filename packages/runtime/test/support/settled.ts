import { checkpoint, randomIds } from "@ziggurat/bench-kit/fixtures";
import { h2o } from "@ziggurat/h2o";
import { generate, loadModel, type Model } from "@ziggurat/runtime";
import type { Backend } from "@ziggurat/tensor";
import { expect } from "vitest";

const prompt = randomIds(40, 1);

/** Live bytes by label; labels without any left out. The rotation tables stay with the model. */
export const live = ({ backend }: Model) =>
  Object.fromEntries(
    Object.entries(backend.memory().labels).flatMap(([label, bytes]) => (bytes.live > 0 ? [[label, bytes.live]] : [])),
  );

/** A model that has worked once, with what it holds then, and what it answers. */
export async function settled(backend: Backend) {
  const model = await loadModel(checkpoint().files, { backend, rows: "f32" });
  const answer = () => generate({ model, policy: h2o({ keep: 10 }), prompt, maxTokens: 6 }).result;
  const { ids } = await answer();
  const held = live(model);
  expect(Object.keys(held).sort()).toEqual(["rope", "weights"]);
  return { model, held, works: async () => expect((await answer()).ids).toEqual(ids) };
}
