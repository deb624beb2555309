import { parse, tokenize } from "@huggingface/jinja";
import { reason, TemplateError } from "../error.js";
import { run } from "./jinja/interpreter.js";
import { bind } from "./jinja/methods.js";
import { strftime } from "./jinja/strftime.js";
import type { Statement } from "./jinja/syntax.js";
import { type Callable, fail, JinjaError, numberOf, text, toValue, type Value } from "./jinja/values.js";

// Chat templates are programs that came with a model: they are parsed and run within bounds.

const limits = {
  /** Characters of a template; the longest in use have about 20,000. */
  template: 100_000,
  /** White space in a row: the lexer takes quadratic time over it. */
  blank: 1000,
  /** Evaluated nodes. Texts and lists count by their length too. */
  steps: 1_000_000,
  /** Characters of any text, beyond four times what the messages hold. */
  text: 2_000_000,
  /** Elements of any list or object, those within its elements included, beyond what the messages hold. */
  elements: 100_000,
  /** Numbers of a range. */
  range: 10_000,
} as const;

/** Words that may stand behind a number. */
const mayFollowNumber = ["if", "else", "and", "or", "not", "in", "is"];

/** A compiled chat template. */
export interface Template {
  readonly source: string;
  /**
   * Renders the template with JSON-like variables. Throws {@link TemplateError}: what the template itself raises, what
   * it gets wrong or needs and is not supported, and where it goes on for too long.
   */
  render(variables: Readonly<Record<string, unknown>>): string;
}

/** Compiles a template as transformers does. Throws {@link TemplateError} if it cannot be parsed. */
export function compileTemplate(given: string): Template {
  // Jinja2 reads every line end as a line feed; an editor may have left a byte order mark.
  const source = given.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
  if (source.length > limits.template)
    throw new TemplateError(
      `the chat template has ${source.length} characters; ${limits.template} are the most allowed`,
    );
  if (new RegExp(`\\s{${limits.blank}}`).test(source))
    throw new TemplateError(`the chat template has ${limits.blank} characters of white space in a row`);
  let program: readonly Statement[];
  try {
    const tokens = tokenize(source, { lstrip_blocks: true, trim_blocks: true });
    for (const [i, { type, value }] of tokens.entries()) {
      const next = tokens[i + 1];
      // The lexer takes a number such as 1e5 apart.
      if (type === "NumericLiteral" && next?.type === "Identifier" && !mayFollowNumber.includes(next.value))
        throw new Error(`the number ${value}${next.value} is not supported`);
    }
    program = parse(tokens).body as unknown as Statement[];
  } catch (error) {
    throw new TemplateError(`the chat template cannot be parsed: ${reason(error)}`);
  }
  return {
    source,
    render(variables) {
      const size = JSON.stringify(variables).length;
      const bounds = {
        steps: limits.steps + size / 8,
        text: limits.text + 4 * size,
        elements: limits.elements + size,
      };
      try {
        const values = new Map<string, Value>(Object.entries(builtins));
        for (const [name, value] of Object.entries(variables)) values.set(name, toValue(value));
        return run(program, values, bounds);
      } catch (error) {
        if (error instanceof TemplateError) throw error;
        const what = error instanceof JinjaError ? error.message : reason(error);
        throw new TemplateError(`the chat template failed: ${what}`);
      }
    },
  };
}

const range: Callable = (given) => {
  const numbers = bind("range", given, ["start", "stop", "step"]).map((value) =>
    value === undefined ? undefined : (numberOf(value) ?? fail("range takes numbers")),
  );
  const [start, stop, step = 1] = numbers;
  const [from, to] = stop === undefined ? [0, start ?? fail("range takes a number")] : [start!, stop];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!(count <= limits.range))
    throw new TemplateError(
      `the chat template asks for a range of ${count} numbers; ${limits.range} are the most allowed`,
    );
  return Array.from({ length: count }, (_, i) => from + i * step);
};

const builtins: Readonly<Record<string, Value>> = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  strftime_now: (given) => strftime(new Date(), text(bind("strftime_now", given, ["format"])[0])),
  raise_exception(given) {
    const message = text(bind("raise_exception", given, ["message"])[0]);
    throw new TemplateError(`the chat template refuses these messages: ${message}`);
  },
};
