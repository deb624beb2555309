import { Environment, Interpreter, parse, tokenize } from "@huggingface/jinja";
import { reason, show, TemplateError } from "../error.js";

// Chat templates are programs that came with a model. They run in @huggingface/jinja, which bounds nothing; here every
// evaluated node is counted, and so is the size of what it gives.

const limits = {
  /** Characters of a template; the longest in use have about 20,000. */
  template: 100_000,
  /** White space in a row: the lexer takes quadratic time over it. */
  blank: 1000,
  /** Evaluated nodes. Texts and lists count by their length too: see `spend`. */
  steps: 1_000_000,
  /** Characters of any text, beyond four times what the messages hold. */
  text: 2_000_000,
  /** Elements of any list or object, those within its elements included, beyond what the messages hold. */
  elements: 100_000,
  /** Numbers of a range. */
  range: 10_000,
} as const;

/** A compiled chat template. */
export interface Template {
  /**
   * Throws {@link TemplateError}: what the template itself raises, what it gets wrong, and where it goes on for too
   * long.
   */
  render(variables: Readonly<Record<string, unknown>>): string;
}

/** Throws {@link TemplateError} where the source cannot be parsed. */
export function compileTemplate(source: string): Template {
  if (source.length > limits.template)
    throw new TemplateError(
      `the chat template has ${source.length} characters; ${limits.template} are the most allowed`,
    );
  if (new RegExp(`\\s{${limits.blank}}`).test(source))
    throw new TemplateError(`the chat template has ${limits.blank} characters of white space in a row`);
  let program: ReturnType<typeof parse>;
  try {
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    throw new TemplateError(`the chat template cannot be parsed: ${reason(error)}`);
  }
  return {
    render(variables) {
      const scope = new Environment();
      for (const [name, value] of Object.entries({ ...builtins, ...variables })) scope.set(name, value);
      try {
        const result: unknown = bounded(new Interpreter(scope), JSON.stringify(variables).length).run(program).value;
        if (typeof result !== "string") throw new Error(`it gives ${show(result)}`);
        return result;
      } catch (error) {
        if (error instanceof TemplateError) throw error;
        throw new TemplateError(`the chat template failed: ${reason(error)}`);
      }
    },
  };
}

function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!(count <= limits.range))
    throw new TemplateError(
      `the chat template asks for a range of ${count} numbers; ${limits.range} are the most allowed`,
    );
  return Array.from({ length: count }, (_, i) => from + i * step);
}

const builtins = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
  strftime_now: (format: string) => strftime(new Date(), format),
  raise_exception(message: unknown) {
    throw new TemplateError(
      `the chat template refuses these messages: ${typeof message === "string" ? message : show(message)}`,
    );
  },
};

/** A date as Python's strftime writes it, in English: the codes that templates use. */
function strftime(date: Date, format: string): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const english = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat("en", options).format(date);
  const codes: Readonly<Record<string, () => string>> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    H: () => two(date.getHours()),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    b: () => english({ month: "short" }),
    B: () => english({ month: "long" }),
    a: () => english({ weekday: "short" }),
    A: () => english({ weekday: "long" }),
    "%": () => "%",
  };
  return String(format).replace(/%([YymdHMSbBaA%])/g, (_, code: string) => codes[code]!());
}

type Value = { readonly type: string; readonly value: unknown };

/** The interpreter, with a watch over every node that it evaluates. `given`: characters of what it renders. */
function bounded(interpreter: Interpreter, given: number): Interpreter {
  const longest = limits.text + 4 * given;
  const most = limits.steps + given / 8;
  const largest = limits.elements + given;
  const evaluate = interpreter.evaluate.bind(interpreter);
  const sizes = new WeakMap<object, number>();
  const loops = new WeakSet<object>();
  let steps = 0;
  const spend = (amount: number) => {
    steps += amount;
    if (steps > most) throw new TemplateError(`the chat template took more than ${Math.floor(most)} steps`);
  };
  const tooLarge = (what: string, bound: number): never => {
    throw new TemplateError(`the chat template makes ${what} of more than ${bound}`);
  };
  /**
   * Elements of a list or object, all levels of it. Lists and objects never change; namespaces do, so that none may lie
   * within anything.
   */
  const sizeOf = (value: Value): number => {
    if (value.type === "StringValue") return 1 + (value.value as string).length / 256;
    const isNamespace = value.type === "NamespaceValue";
    const parts = Array.isArray(value.value)
      ? value.value
      : value.value instanceof Map
        ? [...value.value.values()]
        : undefined;
    if (!parts) return 1;
    const known = isNamespace ? undefined : sizes.get(value);
    if (known !== undefined) return known;
    let size = 1;
    for (const part of parts as Value[]) {
      if (part.type === "NamespaceValue")
        throw new TemplateError("the chat template puts a namespace into another value");
      size += sizeOf(part);
      if (size > largest) tooLarge("a list or object", largest);
    }
    if (!isNamespace) sizes.set(value, size);
    return size;
  };
  interpreter.evaluate = (statement: Parameters<typeof evaluate>[0], environment: Parameters<typeof evaluate>[1]) => {
    spend(1);
    // The interpreter itself goes over the elements of a loop.
    if (statement?.type === "For") {
      const { iterable } = statement as unknown as { iterable: { type: string; lhs?: object } };
      loops.add(iterable.type === "SelectExpression" && iterable.lhs ? iterable.lhs : iterable);
    }
    const result = evaluate(statement, environment);
    const value = result as Value;
    if (value.type === "StringValue") {
      const { length } = value.value as string;
      if (length > longest) tooLarge("a text", longest);
      spend(length / 256);
    } else if (typeof value.value === "object" && value.value !== null) {
      sizeOf(value);
      const length = Array.isArray(value.value) ? value.value.length : (value.value as Map<string, unknown>).size;
      const isMade = statement?.type === "CallExpression" || statement?.type === "FilterExpression";
      // An element costs the most in a loop, where it gets a scope of its own, and little where it is only looked at.
      spend(length * (statement && loops.has(statement) ? 8 : isMade ? 1 : 1 / 64));
    }
    return result;
  };
  return interpreter;
}
