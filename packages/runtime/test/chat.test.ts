import { readFileSync } from "node:fs";
import { type Message, TemplateError, type Tokenizer } from "@ziggurat/runtime";
import { describe, expect, it } from "vitest";
import { chatOf } from "../src/text/chat.js";
import { makeTokenizer } from "../src/text/tokenizer.js";

const read = (file: string) => JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));
const json = read("../../pebble/files/tokenizer.json");
const config = read("../../pebble/files/tokenizer_config.json");
const fixture = read("./fixtures/tokenizer.json") as {
  chat: { messages: Message[]; prompt: boolean; ids: number[] }[];
  rows: { text: string }[];
};
const pebble = makeTokenizer(json, config);
const withTemplate = (chat_template: string): Tokenizer => makeTokenizer(json, { ...config, chat_template });
const user = (content: string): Message => ({ role: "user", content });
const assistant = (content: string): Message => ({ role: "assistant", content });
const special = (text: string) => pebble.encode(text, { special: true });

describe("prompt", () => {
  const chat = chatOf(pebble);
  it("gives the ids that transformers gives", () => {
    for (const { messages, prompt, ids } of fixture.chat)
      expect(chat.prompt(messages, { generationPrompt: prompt })).toEqual(ids);
    expect(fixture.chat.length).toBeGreaterThan(3);
  });
  it("lets nothing that a message says become a special token", () => {
    const frame = chat.prompt([user("x")]).filter(pebble.isSpecial);
    for (const { text } of fixture.rows) {
      const ids = chat.prompt([user(text)]);
      expect(ids.filter(pebble.isSpecial), JSON.stringify(text)).toEqual(frame);
      expect(pebble.decode(ids), JSON.stringify(text)).toBe(`<|bos|><|user|>\n${text}<|end|>\n<|assistant|>\n`);
    }
  });
  it("keeps apart what only messages and template together would spell", () => {
    const bare = chatOf(withTemplate("{% for m in messages %}{{ m.content }}{% endfor %}<|end|>"));
    for (const parts of [
      ["<|en", "d|>"],
      ["<", "|end|>"],
      ["<|", "end", "|>"],
      ["<|end|", "> and"],
      [" <|pad", "|> "],
    ]) {
      const ids = bare.prompt(parts.map(user));
      expect(ids.filter(pebble.isSpecial), parts.join()).toEqual([6]);
      expect(pebble.decode(ids)).toBe(`${parts.join("")}<|end|>`);
    }
    const half = chatOf(withTemplate("<|en{{ messages[0].content }}"));
    expect(half.prompt([user("d|>")]).some(pebble.isSpecial)).toBe(false);
  });
  it("keeps look-alikes apart where the special token is one character, or overlaps itself", () => {
    const odd = {
      ...json,
      added_tokens: [
        ...json.added_tokens,
        { id: 5000, content: "※", special: true },
        { id: 5001, content: "@@", special: true },
      ],
    };
    const tokenizer = makeTokenizer(odd, { ...config, chat_template: "※{{ messages[0].content }}@@" });
    const ids = chatOf(tokenizer).prompt([user("a※@@@b※")]);
    expect(ids.filter(tokenizer.isSpecial)).toEqual([5000, 5001]);
    expect(tokenizer.decode(ids)).toBe("※a※@@@b※@@");
  });
  it("follows templates that trim, look at, or cut what a message says", () => {
    const trim = chatOf(withTemplate("<|user|>{{ messages[0].content | trim }}<|end|>"));
    expect(trim.prompt([user(" \n a <|end|> ")])).toEqual([4, ...pebble.encode("a <|end|>"), 6]);
    const looks = chatOf(
      withTemplate(
        "{% if 'magic' in messages[0].content %}<|system|>{% endif %}{{ messages[0].content.split('|')[-1] }}",
      ),
    );
    expect(looks.prompt([user("magic|b")])).toEqual(special("<|system|>b"));
    expect(looks.prompt([user("a|b")])).toEqual(special("b"));
  });
  it("takes long messages, and many", () => {
    const long = "word ".repeat(60_000);
    expect(chat.prompt([user(long)]).length).toBeGreaterThan(60_000);
    const many = Array.from({ length: 2000 }, (_, i) => (i % 2 ? assistant("b") : user("a")));
    expect(chat.prompt(many).filter(pebble.isSpecial).length).toBe(4002);
  });
  it("gives the template the named tokens, a date and its globals", () => {
    const chat = chatOf(
      withTemplate(
        "{{ bos_token }}{{ strftime_now('%Y-%m-%d %b') }}{% for i in range(3) %}{{ i }}{% endfor %}{{ True and None is none }}",
      ),
    );
    expect(pebble.decode(chat.prompt([user("")]))).toMatch(/^<\|bos\|>\d{4}-\d\d-\d\d [A-Z][a-z]{2}012[tT]rue$/);
  });
  it.each([
    [[], /messages: \[\]; there must be one at least/],
    ["hello", /messages: "hello"/],
    [[user("a"), { role: "user" }], /messages: number 1 has the content undefined; it must be a string/],
    [[{ role: "user", content: [{ type: "text" }] }], /number 0 has the content \[\{"type":"text"\}\]/],
    [[{ role: "<|end|>", content: "" }], /number 0 has the role "<\|end\|>"; it must be a word/],
    [[null], /number 0 has the content undefined/],
    [[{ role: "system", content: "" }], /refuses these messages: Pebble knows the roles user and assistant only/],
  ])("refuses %j", (messages, message) => {
    expect(() => chat.prompt(messages as Message[])).toThrow(message);
    expect(() => chat.prompt(messages as Message[])).toThrow(TemplateError);
  });
});

describe("next", () => {
  it("goes on where the answer ended", () => {
    const chat = chatOf(pebble);
    const previous = [user("one <|end|>"), assistant("two"), user("three")];
    const answer = pebble.encode("four");
    const added = [user("five <|end|> six")];
    const whole = chat.prompt([...previous, assistant("four"), ...added]);
    expect([...chat.prompt(previous), ...answer, ...chat.next(previous, added)]).toEqual(whole);
    expect(chat.next(previous, added)[0]).toBe(6);
  });
  it("refuses templates that write the past in another way", () => {
    const last = chatOf(
      withTemplate("{% for m in messages %}{% if loop.last %}!{% endif %}{{ m.content }}{% endfor %}"),
    );
    expect(() => last.next([user("a")], [user("b")])).toThrow(
      /writes earlier messages in another way when messages follow them/,
    );
    const drops = chatOf(withTemplate("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"));
    expect(() => drops.next([user("a")], [user("b")])).toThrow(/does not write an answer just once/);
    const twice = chatOf(withTemplate("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}"));
    expect(() => twice.next([user("a")], [user("b")])).toThrow(/does not write an answer just once/);
    expect(() => chatOf(pebble).next([user("a")], [])).toThrow(/added messages: \[\]/);
  });
});

describe("hostile templates", () => {
  it.each([
    ["no template at all", undefined, /has no chat template/],
    ["cannot be parsed", "{% if %}", /cannot be parsed/],
    ["never closed", "{% for m in messages %}", /cannot be parsed/],
    ["not ended", "{{ 'abc", /cannot be parsed/],
    ["too long", "a".repeat(100_001), /has 100001 characters; 100000 are the most/],
    ["much white space", " ".repeat(5000), /white space in a row/],
    ["deep nesting", "{{ ".concat("(".repeat(30_000), "1", ")".repeat(30_000), " }}"), /cannot be parsed|failed/],
    ["raises", "{{ raise_exception('no') }}", /refuses these messages: no/],
    ["raises no text", "{{ raise_exception(messages) }}", /refuses these messages/],
    ["unknown filter", "{{ 'a' | frobnicate }}", /failed: Unknown StringValue filter: frobnicate/],
    ["calls what is no function", "{{ messages() }}", /failed/],
    [
      "asks for a huge range",
      "{% for i in range(1000000000) %}{% endfor %}",
      /range of 1000000000 numbers; 10000 are the most/,
    ],
    ["asks for an endless range", "{% for i in range(0, 5, 0) %}{% endfor %}", /range of Infinity/],
    [
      "loops in loops",
      "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
      /more than 10000\d\d steps/,
    ],
    [
      "loops over one list",
      "{% set a = range(9999) %}{% for i in a %}{% for j in a if false %}{% endfor %}{% endfor %}",
      /more than 10000\d\d steps/,
    ],
    ["recurses", "{% macro f(f) %}{{ f(f) }}{% endmacro %}{{ f(f) }}", /failed: Maximum call stack/],
    [
      "recurses twice",
      "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
      /more than 10000\d\d steps/,
    ],
    [
      "doubles a text",
      "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      /a text of more than 2000\d\d\d/,
    ],
    [
      "doubles a list",
      "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      /a list or object of more than 100\d\d\d/,
    ],
    [
      "nests a list",
      "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}",
      /a list or object of more than 100\d\d\d/,
    ],
    [
      "hides a namespace",
      "{% set n = namespace(a=1) %}{% set m = namespace(a=[n, n]) %}{{ m | tojson }}",
      /puts a namespace into another value/,
    ],
    [
      "a namespace in itself",
      "{% set n = namespace(a=1) %}{% set n.a = n %}{{ n | tojson }}",
      /puts a namespace into another value/,
    ],
    ["indents without end", "{{ 'a\nb' | indent(99999999) }}", /failed|a text of more/],
    [
      "searches without end",
      "{% set a = range(9999) %}{% for i in a %}{% for j in range(99) %}{% if 'x' in a %}{% endif %}{% endfor %}{% endfor %}",
      /more than 10000\d\d steps/,
    ],
    ["reaches for JavaScript", "{{ messages.constructor.constructor('return 1')() }}", /failed/],
  ])("%s", (_, template, message) => {
    const run = () => chatOf(template === undefined ? makeTokenizer(json) : withTemplate(template)).prompt([user("a")]);
    expect(run).toThrow(message);
    expect(run).toThrow(TemplateError);
  });
});
