import { beforeAll, expect, it } from "vitest";
import { testWith, vulkan } from "../../../scripts/requirements.js";
import { build, buildTimeout, ziggurat } from "./command.js";

beforeAll(build, buildTimeout);

testWith(
  vulkan,
  "--backend webgpu answers, says where it computes, and ends",
  async (path) => {
    const prompt = "Alice lives in Lisbon. Where does Alice live?";
    const { code, out, error } = await ziggurat(
      ["generate", prompt, "--backend", "webgpu", "--max-tokens", "4", "--json"],
      { env: { VK_DRIVER_FILES: path } },
    );
    expect(code, error).toBe(0);
    if (path.includes("swiftshader")) expect(error).toContain("no GPU was found: WebGPU computes in software");
    expect(JSON.parse(out)).toMatchObject({ backend: "webgpu", text: "Lisbon", finishReason: "stop" });
  },
  300_000,
);

it("--backend webgpu without a driver is an error that says what to do", async () => {
  const { code, out, error } = await ziggurat(["generate", "Hello", "--backend", "webgpu"], {
    env: { VK_DRIVER_FILES: "nowhere.json" },
  });
  expect([code, out]).toEqual([1, ""]);
  // Dawn warns on its own account before.
  expect(error.trim().split("\n").at(-1)).toMatch(
    /^error: WebGPU has no adapter here: .*; in Node VK_DRIVER_FILES may name the ICD file/,
  );
});
