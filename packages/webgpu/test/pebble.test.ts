import { cpu } from "@ziggurat/cpu";
import { expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { webgpu } from "../src/index.js";
import { adapterThere, gpu } from "./gpu.js";
import { answers, differences, question } from "./support/answers.js";
import { policies } from "./support/policies.js";

testWith(
  adapterThere,
  "Pebble gives the answers of the CPU, with the same rows and bytes, under every policy and in a batch of two",
  async () => {
    const prompt = await question();
    const expected = await answers(await cpu({ threads: 2 }), prompt, { gaps: true });
    expect(expected.filter(({ evicted }) => evicted > 0).length).toBe(policies.length + 1);
    expect(differences(expected, await answers(await webgpu({ gpu }), prompt))).toEqual([]);
  },
  600_000,
);
