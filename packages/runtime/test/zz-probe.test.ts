import { readFileSync, writeFileSync } from "node:fs";
import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { generate, loadModel } from "@ziggurat/runtime";
import { file } from "@ziggurat/runtime/node";
import { it } from "vitest";

it("probe", async () => {
  const f = "/work/shared/models";
  const r = JSON.parse(readFileSync(`${f}/reference.json`, "utf8"));
  const out: any = {};
  for (const weights of ["f32", undefined, "q8_0"] as const) {
    const backend = await cpu();
    const model = await loadModel(file(`${f}/smollm2-135m-instruct-q4_1.gguf`), { backend, rows: "f32", ...(weights ? { weights } : {}) });
    const key = String(weights);
    out[key] = [];
    for (const g of r.greedy) {
      const rows: any[] = [];
      const gen = generate({ model, policy: full(), prompt: g.prompt_ids, maxTokens: 64, temperature: 0, logits: true });
      for await (const piece of gen) rows.push({ id: piece.id ?? piece.ids, logits: [...((piece as any).logits as Float32Array)].slice(0, 2000) });
      out[key].push({ rows, ids: (await gen.result).ids });
    }
    await backend.dispose();
  }
  writeFileSync("/tmp/probe2.json", JSON.stringify(out));
}, 800_000);
