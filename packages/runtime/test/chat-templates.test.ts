import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { type Message, TemplateError } from "@ziggurat/runtime";
import { expect, it } from "vitest";
import { chatOf } from "../src/text/chat.js";
import { makeTokenizer } from "../src/text/tokenizer.js";

// Chat templates of many families, against transformers: fixtures/chat-templates.py made the words, and says what they
// stand for.

interface Settings {
  readonly add_generation_prompt?: boolean;
  readonly continue_final_message?: boolean;
  readonly [variable: string]: unknown;
}
interface Fixture {
  readonly named: Readonly<Record<string, string>>;
  readonly conversations: Readonly<Record<string, readonly Message[]>>;
  readonly settings: Readonly<Record<string, Settings>>;
  readonly cases: readonly (readonly [conversation: string, setting: string])[];
  readonly words: Readonly<Record<string, string>>;
}
const folder = new URL("fixtures/", import.meta.url);
const { named, conversations, settings, cases, words } = JSON.parse(
  readFileSync(new URL("chat-templates.json", folder), "utf8"),
) as Fixture;
const json = { model: { type: "WordLevel", vocab: { "<s>": 0, "</s>": 1 }, unk_token: "<s>" }, added_tokens: [] };

const templates = readdirSync(new URL("chat-templates/", folder)).map((file) => file.replace(".jinja", ""));
it("has words for every template", () => expect(Object.keys(words).sort()).toEqual(templates.sort()));

it.each(templates)("%s writes what transformers writes", (name) => {
  const chat_template = readFileSync(new URL(`chat-templates/${name}.jinja`, folder), "utf8");
  const chat = chatOf(makeTokenizer(json, { ...named, chat_template }));
  const wrong: string[] = [];
  for (const [index, wanted] of words[name]!.split(" ").entries()) {
    const [conversation, setting] = cases[index]!;
    const {
      add_generation_prompt: generationPrompt = false,
      continue_final_message,
      ...variables
    } = settings[setting]!;
    let got: string;
    let text: string;
    try {
      const continueFinal = continue_final_message === true;
      const rendering = chat.render(conversations[conversation]!, { generationPrompt, continueFinal, variables });
      text = rendering.text.replaceAll(rendering.mark, "");
      got = createHash("sha256").update(text).digest("hex").slice(0, 8);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      text = error.message;
      got = "refused";
    }
    if (got !== wanted) wrong.push(`${index}, ${conversation}, ${setting}: ${JSON.stringify(text)}`);
  }
  expect(wrong).toEqual([]);
});
