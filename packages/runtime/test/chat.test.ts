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
    expect(chat.prompt(many, { generationPrompt: true }).filter(pebble.isSpecial).length).toBe(4002);
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
    [
      [{ role: "user", content: [{ type: "text" }] }],
      /number 0 has the part \{"type":"text"\} as number 0 of its content/,
    ],
    [[{ role: "<|end|>", content: "" }], /number 0 has the role "<\|end\|>"; it must be a word/],
    [[null], /number 0 is null; it must be an object with a role/],
    [[{ role: "system", content: "" }], /refuses these messages: Pebble knows the roles user and assistant only/],
  ])("refuses %j", (messages, message) => {
    expect(() => chat.prompt(messages as Message[])).toThrow(message);
    expect(() => chat.prompt(messages as Message[])).toThrow(TemplateError);
  });
});

describe("messages", () => {
  const shown = (template: string) => (messages: readonly object[], variables?: Record<string, unknown>) => {
    const { text, mark } = chatOf(withTemplate(template)).render(messages as Message[], {
      generationPrompt: false,
      variables,
    });
    return text.replaceAll(mark, "");
  };
  it("reach the template with all their fields, those that are null left out", () => {
    const show = shown("{{ messages | tojson }}");
    const call = { id: "1", type: "function", function: { name: "f", arguments: { a: [1, true, null, "<|end|>"] } } };
    expect(JSON.parse(show([{ role: "assistant", content: null, tool_calls: [call], name: null }]))).toEqual([
      { role: "assistant", tool_calls: [call] },
    ]);
  });
  it("hold no special token in any field, nor do tools and documents", () => {
    const chat = chatOf(
      withTemplate("{{ messages | tojson }}{{ tools | tojson }}{{ documents | tojson }}{{ mine }}<|end|>"),
    );
    const variables = { tools: [{ "<|user|>": "<|end|>" }], documents: [{ text: "<|bos|>" }], mine: "<|user|>" };
    const messages = [{ role: "tool", content: "<|end|>", name: "<|end|>", more: { "<|end|>": ["<|end|>"] } }];
    expect(chat.prompt(messages, { variables }).filter(pebble.isSpecial)).toEqual([4, 6]);
  });
  it("give a content of parts as it is to a template that reads parts, else as text", () => {
    const parts = [
      {
        role: "user",
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
    ];
    expect(shown("{{ messages[0].content }}")(parts)).toBe("a\nb");
    const reads =
      "{% if messages[0].content is string %}{{ messages[0].content }}{% else %}{% for part in messages[0].content %}{{ part.text }}{% endfor %}{% endif %}";
    expect(shown(reads)(parts)).toBe("ab");
  });
  it("come with tools and documents, which are null, and the caller's variables", () => {
    const show = shown("{{ tools is none }}{{ documents is none }}{{ enable_thinking }}");
    expect(show([user("a")])).toBe("TrueTrue");
    expect(show([user("a")], { enable_thinking: false, tools: [] })).toBe("FalseTrueFalse");
  });
  it("with tools go to the template named tool_use", () => {
    const chat_template = [
      { name: "default", template: "plain" },
      { name: "tool_use", template: "tools" },
    ];
    const chat = chatOf(makeTokenizer(json, { ...config, chat_template }));
    expect(chat.render([user("a")]).text).toBe("plain");
    expect(chat.render([user("a")], { variables: { tools: [{}] } }).text).toBe("tools");
    const only = chatOf(makeTokenizer(json, { ...config, chat_template: chat_template.slice(1) }));
    expect(() => only.prompt([user("a")])).toThrow(/the chat templates are named tool_use; one must be named default/);
  });
  it("are gone on with if the last is the assistant's", () => {
    const chat = chatOf(pebble);
    const begun = [user("a"), assistant("b ")];
    expect(pebble.decode(chat.prompt(begun))).toBe("<|bos|><|user|>\na<|end|>\n<|assistant|>\nb ");
    expect(pebble.decode(chat.prompt(begun, { generationPrompt: true }))).toMatch(/b <\|end\|>\n<\|assistant\|>\n$/);
    expect(() => chat.prompt(begun, { generationPrompt: true, continueFinal: true })).toThrow(/both true/);
    const drops = chatOf(withTemplate("{{ messages[0].content }}"));
    expect(() => drops.prompt(begun)).toThrow(/leaves out the end of the last message/);
  });
  it.each([
    [{ messages: [] }, /templateVariables has messages, which is set by the runtime/],
    [{ "a b": 1 }, /templateVariables has the name "a b"/],
    [{ a: () => 1 }, /templateVariables holds .*, which is no JSON/],
    [[], /templateVariables is \[\]; it must be an object/],
  ])("refuse the variables %j", (variables, message) => {
    expect(() => chatOf(pebble).prompt([user("a")], { variables: variables as Record<string, unknown> })).toThrow(
      message,
    );
  });
  it("nested without end are refused", () => {
    let nested: unknown = 1;
    for (let i = 0; i < 5000; i++) nested = [nested];
    expect(() => chatOf(pebble).prompt([{ ...user("a"), nested }])).toThrow(/more than 64 levels/);
  });
});

it("a template that cannot be parsed blocks chatting alone", () => {
  const tokenizer = withTemplate("{% if %}");
  const chat = chatOf(tokenizer);
  expect(tokenizer.encode("a")).toEqual(pebble.encode("a"));
  expect(() => chat.prompt([user("a")])).toThrow(/cannot be parsed/);
});

it("templates are read whatever ends their lines, and with a byte order mark", () => {
  const lines = ["\ufeff{% if true %}", "a", "{% endif %}", "b"];
  const write = (end: string) => chatOf(withTemplate(lines.join(end))).render([user("x")]).text;
  for (const end of ["\n", "\r\n", "\r"]) expect(write(end)).toBe("a\nb");
});

it.each(["1e5", "[1 e5]", "1_000"])("the number %s is refused", (number) => {
  expect(() => chatOf(withTemplate(`{{ ${number} }}`)).prompt([user("a")])).toThrow(/cannot be parsed: the number/);
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
    ["unknown filter", "{{ 'a' | frobnicate }}", /failed: the filter "frobnicate" is not supported/],
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
      /compares, searches or joins too much/,
    ],
    ["reaches for JavaScript", "{{ messages.constructor.constructor('return 1')() }}", /failed/],
  ])("%s", (_, template, message) => {
    const run = () => chatOf(template === undefined ? makeTokenizer(json) : withTemplate(template)).prompt([user("a")]);
    expect(run).toThrow(message);
    expect(run).toThrow(TemplateError);
  });
});
