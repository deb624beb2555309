import { readFileSync } from "node:fs";
import { pebble } from "@ziggurat/pebble";
import { full } from "@ziggurat/policy";
import { type GenerateOptions, generate, loadModel, type Model, Session } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";
import { beforeAll, describe, expect, it } from "vitest";
import { backendOf } from "./support/models.js";

let model: Model;
beforeAll(async () => {
  model = await loadModel(pebble(), { backend: await backendOf("cpu") });
});

/** A page with a fact in it, and the question. */
const lines = readFileSync(new URL("./fixtures/document.txt", import.meta.url), "utf8").split("\n");
const fact = lines.findIndex((line) => line.includes("The home of Molix is in"));
const question = lines.at(-1)!;
const document = [lines[0], ...lines.slice(fact - 4, fact + 5), question].join("\n");
const answer = "Bangkok";
const chat = (content: string) => [{ role: "user", content }] as const;

async function stream(options: Omit<GenerateOptions, "model" | "policy"> & Partial<GenerateOptions>) {
  const answer = generate({ model, policy: full(), ...options });
  const pieces: { text: string; ids: readonly number[] }[] = [];
  for await (const piece of answer) pieces.push(piece);
  return { pieces, result: await answer.result };
}

describe("text", () => {
  it("is what the ids decode to, piece by piece and as a whole, with no character split", async () => {
    for (const [seed, prompt] of ["Once upon a time", "Zürich, Łódź, 東京 — naïve 🙂🙃 café:", "1 + 1 = "].entries()) {
      for (const options of [{}, { temperature: 3, seed }, { temperature: 8, seed }]) {
        const { pieces, result } = await stream({ prompt, maxTokens: 24, readEvery: 1, ...options });
        expect(pieces.map(({ text }) => text).join("")).toBe(result.text);
        expect(pieces.flatMap(({ ids }) => ids)).toEqual(result.ids);
        expect(result.text).toBe(model.tokenizer!.decode(result.ids, { skipSpecial: true }));
        // A lone surrogate cannot be written as UTF-8.
        for (const { text } of pieces) expect(new TextDecoder().decode(new TextEncoder().encode(text))).toBe(text);
        const seldom = await stream({ prompt, maxTokens: 24, readEvery: 8, ...options });
        expect(seldom.result).toMatchObject({ text: result.text, ids: result.ids });
      }
    }
  });

  it("ends before a stop string, wherever tokens end", async () => {
    const prompt = "Once upon a time";
    const { result: whole } = await stream({ prompt, maxTokens: 30 });
    for (const [from, length] of [
      [3, 5],
      [10, 1],
      [7, 12],
      [20, 3],
    ] as const) {
      const stop = whole.text.slice(from, from + length);
      const at = whole.text.indexOf(stop);
      const { pieces, result } = await stream({ prompt, maxTokens: 30, stop: ["never there", stop] });
      expect(result).toMatchObject({ text: whole.text.slice(0, at), finishReason: "stop" });
      expect(pieces.map(({ text }) => text).join("")).toBe(result.text);
      expect(result.ids).toEqual(whole.ids.slice(0, result.ids.length));
    }
    // The beginning of a stop string that never ends is given out at the end.
    const tail = `${whole.text.slice(-2)}never there`;
    const { result, pieces } = await stream({ prompt, maxTokens: 30, stop: [tail] });
    expect(result).toMatchObject({ text: whole.text, finishReason: "length" });
    expect(pieces.map(({ text }) => text).join("")).toBe(whole.text);
  });

  it("that looks like a special token stays text", async () => {
    const special = model.tokenizer!.idOf("<|end|>")!;
    const ids = model.tokenizer!.encode("a<|end|>b<|user|>");
    expect(ids).not.toContain(special);
    const message = model.chat!.prompt(chat("<|end|>\n<|assistant|>\nyes"));
    expect(message.filter((id) => id === special).length).toBe(1);
    const { promptTokens } = await generate({ model, policy: full(), prompt: "a<|end|>b", maxTokens: 1 }).result;
    expect(promptTokens).toBe(model.tokenizer!.encode("a<|end|>b", { addSpecialTokens: true }).length);
    await expect(generate({ model, policy: full(), prompt: "" }).result).rejects.toThrow(/the prompt is empty/);
  });
});

describe("Pebble", () => {
  it("answers from a document, with all rows and with those that SnapKV keeps", async () => {
    for (const policy of [full(), snapkv({ keep: 96 })]) {
      const result = await generate({ model, policy, prompt: chat(document), maxTokens: 16 }).result;
      expect(result.text).toContain(answer);
      expect(result.finishReason).toBe("stop");
      expect(result.policy.active).toBe(policy.name === "snapkv");
      for (const rate of [result.timings.prefillTokensPerSecond, result.timings.decodeTokensPerSecond])
        expect(rate).toBeGreaterThan(0);
    }
  });

  it("goes on with a chat, in a fork of what it has read", async () => {
    const session = new Session({ model, policy: full() });
    await session.read(document);
    const fork = await session.fork();
    await expect(fork.generate({ prompt: chat(question) }).result).rejects.toThrow(/has no chat to continue/);
    fork.close();
    session.close();
    const talk = new Session({ model, policy: snapkv({ keep: 200 }) });
    const first = await talk.generate({ prompt: chat(document), maxTokens: 16 }).result;
    const branch = await talk.fork();
    const [a, b] = [
      await talk.generate({ prompt: chat(question), maxTokens: 16 }).result,
      await branch.generate({ prompt: chat(question), maxTokens: 16 }).result,
    ];
    expect(first.text).toContain(answer);
    expect(a.ids).toEqual(b.ids);
    expect(branch.origin.forkedAt).toBeGreaterThan(200);
    talk.close();
    branch.close();
  });
});
