import { readdirSync, readFileSync } from "node:fs";
import { checkpoint } from "@ziggurat/bench-kit/fixtures";
import { pebble } from "@ziggurat/pebble";
import { full } from "@ziggurat/policy";
import {
  generate,
  loadModel,
  type Message,
  type Model,
  type ModelFiles,
  memoryFiles,
  RequestError,
  Session,
  TemplateError,
} from "@ziggurat/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import { chatOf } from "../src/text/chat.js";
import { makeTokenizer } from "../src/text/tokenizer.js";
import { Transcript } from "../src/text/transcript.js";
import { random } from "./random.js";
import { backendOf } from "./support/models.js";

const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const folder = new URL("fixtures/chat-templates/", import.meta.url);
const templates = readdirSync(folder).map((file) => file.replace(".jinja", ""));
const source = (name: string) => readFileSync(new URL(`${name}.jinja`, folder), "utf8");

/** Every byte is a token, so that the ids of a text are those of its parts. */
const bytes = Array.from({ length: 256 }, (_, byte) => {
  const isPrintable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  return isPrintable ? byte : undefined;
});
let other = 256;
const vocab = Object.fromEntries(bytes.map((byte, id) => [String.fromCodePoint(byte ?? other++), id]));
const specials = [
  "<s>",
  "</s>",
  "<|im_start|>",
  "<|im_end|>",
  "<|end|>",
  "<|eot_id|>",
  "[INST]",
  "[/INST]",
  "<end_of_turn>",
];
const byteLevel = {
  model: { type: "BPE", vocab, merges: [] },
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: false },
  decoder: { type: "ByteLevel" },
  added_tokens: specials.map((content, i) => ({ id: 256 + i, content, special: true, normalized: false })),
};
const named = { bos_token: "<s>", eos_token: "</s>" };

/** What a transcript needs of a model. */
function speaker(chat_template: string): Model {
  const tokenizer = makeTokenizer(byteLevel, { ...named, chat_template });
  return { name: "bytes", tokenizer, chat: chatOf(tokenizer), facts: { vocabularySize: 300 } } as unknown as Model;
}

const answers = ["fine", "two words", " spaced \n", "<think>\nhm\n</think>\n\nso", "<|end|> quoted", "😀é", ""];

describe.each(templates)("%s: a session reads the template's tokens over all messages", (name) => {
  it.each([1, 2, 3, 4])("in conversation %i", async (seed) => {
    const model = speaker(source(name));
    const { chat } = model;
    const next = random(seed);
    const transcript = new Transcript(model);
    const opening: Message[] = next() < 0.3 ? [{ role: "system", content: "Be brief." }] : [];
    let messages: Message[] = [];
    let seen = 0;
    let turns = 0;
    for (let step = 0; step < 7; step++) {
      const added: Message[] = [...(turns === 0 ? opening : []), user(`q${step} <|end|>`)];
      const isAnswered = next() < 0.6;
      if (isAnswered && next() < 0.3) added.push(assistant("I begin"));
      else if (next() < 0.3) added.push(assistant(" told"), user("and?"));
      const isContinued = isAnswered && added.at(-1)!.role === "assistant";
      const all = [...messages, ...added];
      let wanted: number[];
      try {
        wanted = chat!.prompt(all, isAnswered ? {} : { generationPrompt: false });
      } catch (error) {
        expect(error).toBeInstanceOf(TemplateError);
        await expect(transcript.turn(added, seen, { answer: isAnswered })).rejects.toThrow(TemplateError);
        continue;
      }
      const turn = await transcript.turn(added, seen, { answer: isAnswered });
      const before = turn.isAnew ? 0 : seen;
      const read = [...transcript.ids.slice(0, before), ...turn.ids];
      // Of a template that ends a conversation to which no answer follows, as much is read as stays.
      if (isAnswered) expect(read).toEqual(wanted);
      else expect(read).toEqual(wanted.slice(0, read.length));
      const said = answers[Math.floor(next() * answers.length)]!;
      const written = isAnswered ? model.tokenizer!.encode(said) : [];
      transcript.add(turn, before, written, isAnswered ? said : undefined);
      // The last id that was written waits to be read with the next turn.
      seen = transcript.ids.length - (written.length > 0 ? 1 : 0);
      messages = isContinued
        ? [...all.slice(0, -1), assistant(`I begin${said}`)]
        : isAnswered
          ? [...all, assistant(said)]
          : all;
      turns++;
    }
    expect(turns).toBeGreaterThan(0);
  });
});

describe("what is read again and what is not", () => {
  const converse = async (template: string, ...turns: [Message[], string][]) => {
    const model = speaker(source(template));
    const transcript = new Transcript(model);
    const isAnew: boolean[] = [];
    let seen = 0;
    for (const [prompt, said] of turns) {
      const turn = await transcript.turn(prompt, seen, { answer: true });
      isAnew.push(turn.isAnew);
      transcript.add(turn, turn.isAnew ? 0 : seen, model.tokenizer!.encode(said), said);
      seen = transcript.ids.length;
    }
    return isAnew;
  };
  it.each(["chatml", "phi3", "phi4-mini", "llama3", "zephyr", "mistral-v1", "olmo2"])("%s goes on", async (template) =>
    expect(await converse(template, [[user("a")], "b"], [[user("c")], "d"], [[user("e")], "f"])).toEqual([
      false,
      false,
      false,
    ]),
  );
  it("a template that leaves out earlier reasoning has the chat read anew", async () =>
    expect(await converse("qwen3", [[user("a")], "<think>x</think>b"], [[user("c")], "d"])).toEqual([false, true]));
  it("a template that moves the system prompt has the chat read anew", async () =>
    expect(
      await converse("mistral-v3", [[{ role: "system", content: "s" }, user("a")], " b"], [[user("c")], " d"]),
    ).toEqual([false, true]));
  it("text between messages is refused", async () => {
    const transcript = new Transcript(speaker(source("chatml")));
    transcript.add(await transcript.turn([user("a")], 0, { answer: true }), 0, [], "b");
    transcript.add(await transcript.turn("text", transcript.ids.length, { answer: false }), transcript.ids.length);
    await expect(transcript.turn([user("c")], 0, { answer: true })).rejects.toThrow(/has read text or ids/);
  });
});

describe("with a model", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(pebble(), { backend: await backendOf("cpu") });
  });
  const count = (messages: Message[], generationPrompt: boolean) =>
    model.chat!.prompt(messages, { generationPrompt }).length;
  const q1 = user("Alice lives in Lisbon. Where does Alice live?");
  const q2 = user("Bruno works as a gardener.");
  const policy = full();

  it("reading and answering can be mixed", async () => {
    const a1 = assistant("Lisbon");
    const session = new Session({ model, policy });
    await session.read([q1, a1]);
    await session.read([q2]);
    expect(session.seen).toBe(count([q1, a1, q2], false));
    const { text } = await session.generate({ prompt: [user("Who?")], maxTokens: 4 }).result;
    await session.read([q2]);
    expect(session.seen).toBe(count([q1, a1, q2, user("Who?"), assistant(text), q2], false));
    session.close();
  });
  it("a turn that is read anew gives what a new session gives", async () => {
    const config = JSON.parse(
      readFileSync(new URL("../../pebble/files/tokenizer_config.json", import.meta.url), "utf8"),
    );
    // The newest question is marked, which changes all that came before.
    config.chat_template =
      "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ '! ' if loop.last }}{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}";
    const own = memoryFiles({ "tokenizer_config.json": JSON.stringify(config) });
    const base = pebble() as ModelFiles;
    const files: ModelFiles = {
      name: "changed",
      open: async (file) => (file === "tokenizer_config.json" ? own.open(file) : base.open(file)),
    };
    const changed = await loadModel(files, { backend: model.backend });
    const session = new Session({ model: changed, policy });
    const first = await session.generate({ prompt: [q1], maxTokens: 3 }).result;
    const second = await session.generate({ prompt: [q2], maxTokens: 8 }).result;
    const fresh = await generate({ model: changed, policy, prompt: [q1, assistant(first.text), q2], maxTokens: 8 })
      .result;
    expect(second.promptTokens).toBe(fresh.promptTokens);
    expect(second.ids).toEqual(fresh.ids);
    // A turn that is refused leaves the session as it was.
    const small = new Session({ model: changed, policy, maxCacheBytes: 200_000 });
    await small.read([q1]);
    const { seen } = small;
    await expect(small.read([user("word ".repeat(100))])).rejects.toThrow(/maxCacheBytes/);
    expect(small.seen).toBe(seen);
    session.close();
    small.close();
    changed.free();
  });
  it("a begun answer is gone on with", async () => {
    const begun = [q1, assistant("Lis")];
    const { promptTokens } = await generate({ model, policy, prompt: begun, maxTokens: 2 }).result;
    expect(promptTokens).toBe(count([q1], true) + model.tokenizer!.encode("Lis").length);
  });
  it("a stop text that is a special token stops at it", async () => {
    const request = { model, policy, prompt: [q1], maxTokens: 40, ignoreEnd: true };
    const whole = await generate(request).result;
    expect(whole.ids).toContain(6);
    const stopped = await generate({ ...request, stop: ["<|end|>"] }).result;
    expect(stopped.finishReason).toBe("stop");
    expect(stopped.ids).toEqual(whole.ids.slice(0, whole.ids.indexOf(6)));
  });
  it("a tokenizer may have more tokens than the embedding, whose ids a prompt cannot hold", async () => {
    const added = [...byteLevel.added_tokens, { id: 320, content: "<pad>", special: false, normalized: false }];
    const base = checkpoint({ vocabulary: 300 }).files;
    const own = memoryFiles({ "tokenizer.json": JSON.stringify({ ...byteLevel, added_tokens: added }) });
    const large = await loadModel(
      { name: "large", open: async (file) => (await own.open(file)) ?? base.open(file) },
      { backend: model.backend },
    );
    const answer = await generate({ model: large, policy, prompt: "abc", maxTokens: 2 }).result;
    expect(answer.promptTokens).toBe(3);
    const refused = generate({ model: large, policy, prompt: "a<pad>", maxTokens: 2 }).result;
    await expect(refused).rejects.toThrow(/holds token 320 at 1; large has tokens 0 to 299/);
    await expect(refused).rejects.toThrow(RequestError);
    large.free();
  });
});
