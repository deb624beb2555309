import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EvaluationError, readRecords } from "@ziggurat/eval";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { evidence, report } from "../src/evidence/evidence.js";
import { checkPlan, expand } from "../src/evidence/plan.js";

const plan = {
  ...{ title: "Small", tasks: ["needle"], tokens: [256], questions: ["inside", "later"], seeds: [1], items: 2 },
  ...{ policies: ["snapkv:window=8", "pyramidkv:window=8"], budgets: ["12%"], baseline: "snapkv" },
};

describe("a plan", () => {
  test.each([
    [[], /is no object; a plan has the fields title/],
    [{ ...plan, extra: 1 }, /no field is called "extra"/],
    [{ ...plan, tasks: ["poem"] }, /tasks is \["poem"\]; it must be a list of needle/],
    [{ ...plan, tasks: [] }, /tasks is \[\]/],
    [{ ...plan, tokens: [64] }, /tokens is \[64\]/],
    [{ ...plan, seeds: [1, 1] }, /each once/],
    [{ ...plan, questions: ["never"] }, /questions is/],
    [{ ...plan, items: 0 }, /items is 0/],
    [{ ...plan, baseline: "h2o" }, /baseline is "h2o"; it must be one of the plan's policies/],
  ])("%j is refused by its field", (value, message) => {
    expect(() => checkPlan(value, "plan.json")).toThrow(EvaluationError);
    expect(() => checkPlan(value, "plan.json")).toThrow(message);
  });

  test("becomes cells with the controls, each once", () => {
    const cells = expand(checkPlan(plan, "plan.json"), { model: "pebble", rowDType: "bf16" });
    const named = cells.filter(({ cell }) => cell.question === "later").map(({ cell }) => cell.policy.name);
    expect(named).toEqual(["snapkv", "pyramidkv", "full", "random", "sinks"]);
    expect(cells.filter(({ cell }) => cell.budget === undefined).map(({ cell }) => cell.policy.name)).toEqual([
      "full",
      "full",
    ]);
    expect(() => expand({ ...checkPlan(plan, "p"), policies: ["nothing"] }, { model: "m", rowDType: "f32" })).toThrow(
      /no policy "nothing"/,
    );
  });
});

describe("a run", () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const run = () => evidence({ plan: at("plan.json"), out: folder, threads: 1 });
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ziggurat-evidence-"));
    await writeFile(at("plan.json"), JSON.stringify(plan));
    await run();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("records each item of each cell once, with the rows that were kept", async () => {
    const { items } = await readRecords(at("records.jsonl"));
    expect(items.size).toBe(2 * 5 * 2);
    for (const { rows, promptTokens, evicted, score, answer, expected } of items.values()) {
      const held = rows.flat().reduce((a, b) => a + b, 0);
      expect(held).toBeLessThanOrEqual(rows.flat().length * promptTokens);
      expect(score).toBe(answer.trim() === expected[0] ? 1 : 0);
      if (evicted > 0) expect(held / rows.flat().length).toBeCloseTo(0.12 * promptTokens, -1);
    }
  });

  test("goes on where it was killed, with the same records, and the file alone gives the same report", async () => {
    const whole = await readFile(at("records.jsonl"), "utf8");
    const page = await readFile(at("report.html"), "utf8");
    const lines = whole.trimEnd().split("\n");
    await writeFile(at("records.jsonl"), `${lines.slice(0, 8).join("\n")}\n${lines[8]!.slice(0, 20)}`);
    await run();
    expect(await readFile(at("records.jsonl"), "utf8")).toBe(whole);
    await rm(at("report.html"));
    await report(folder);
    expect(await readFile(at("report.html"), "utf8")).toBe(page);
  });

  test("is refused on records of another plan", async () => {
    await writeFile(at("plan.json"), JSON.stringify({ ...plan, items: 3 }));
    await expect(run()).rejects.toThrow(/holds records of plan/);
  });
});
