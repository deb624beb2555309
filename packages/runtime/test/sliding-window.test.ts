import { checkpoint } from "@ziggurat/bench-kit/fixtures";
import { full } from "@ziggurat/policy";
import { loadModel, memoryFiles, Session } from "@ziggurat/runtime";
import { logProbabilities } from "@ziggurat/runtime/evaluate";
import { describe, expect, it } from "vitest";
import { backendNames, backendOf } from "./support/models.js";

// A query of a sliding layer sees as many rows as the window has, the row of its own token among them.

const tiny = checkpoint({ vocabulary: 32, context: 64 });
const ids = [1, 9, 3, 17, 5, 22, 8, 8, 30, 2];

async function withWindow(window: number, name: (typeof backendNames)[number]) {
  const text = async (file: string) => {
    const source = (await tiny.files.open(file))!;
    return source.read(0, source.size);
  };
  const config = JSON.parse(new TextDecoder().decode(await text("config.json"))) as object;
  const files = memoryFiles({
    "config.json": JSON.stringify({ ...config, architectures: ["MistralForCausalLM"], sliding_window: window }),
    "model.safetensors": await text("model.safetensors"),
  });
  return loadModel(files, { backend: await backendOf(name), rows: "f32" });
}

describe.each(backendNames)("on %s", (name) => {
  const agrees = async (window: number) => {
    const model = await withWindow(window, name);
    const atOnce = await logProbabilities(model, ids);
    const session = new Session({ model, policy: full() });
    await session.read(ids.slice(0, 1));
    const oneByOne = await session.logProbabilities(ids.slice(1));
    atOnce.forEach((value, i) => void expect(Math.abs(value - oneByOne[i]!), `token ${i + 1}`).toBeLessThan(1e-4));
    session.close();
  };
  it.each([1, 2, 3, 64])("a window of %d sees the same rows in a prefill and one token at a time", agrees);

  it("a window of 1 sees its own token alone", async () => {
    const model = await withWindow(1, name);
    const scores = await logProbabilities(model, ids);
    // Another beginning changes nothing after the token that follows it.
    const other = await logProbabilities(model, [29, ...ids.slice(1)]);
    expect([...scores].slice(1)).toEqual([...other].slice(1));
    expect(scores[0]).not.toBe(other[0]);
  });
});
