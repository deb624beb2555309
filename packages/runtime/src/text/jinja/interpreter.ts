import { filterNamed } from "./filters.js";
import { attribute, bind, item, slice } from "./methods.js";
import type { Expression, Parameter, Statement } from "./syntax.js";
import { contains, tests } from "./tests.js";
import {
  type Arguments,
  type Callable,
  compare,
  equals,
  Float,
  fail,
  isTrue,
  iterate,
  Loop,
  Namespace,
  numberOf,
  Tuple,
  text,
  typeOf,
  type Value,
  withWork,
} from "./values.js";

// Runs a parsed template as Jinja2 does. @huggingface/jinja parses it; its own interpreter gives JavaScript's meaning
// to what Python prints, compares and orders in another way, and bounds nothing.

/** What a template may use. Every evaluated node counts as a step, and so does the size of what it gives. */
export interface Bounds {
  readonly steps: number;
  /** Characters of any text. */
  readonly text: number;
  /** Elements of any list or dict, those within its elements included. */
  readonly elements: number;
}

/** What nodes may do on their own, over all of them, for each step that a run may take. */
const workPerStep = 8;

/** Variables of one block; a name is looked for in `parent` where this has none. */
class Scope {
  readonly names = new Map<string, Value>();
  readonly parent: Scope | undefined;
  constructor(parent?: Scope) {
    this.parent = parent;
  }
  get(name: string): Value {
    for (let scope: Scope | undefined = this; scope; scope = scope.parent)
      if (scope.names.has(name)) return scope.names.get(name);
    return undefined;
  }
}

/** How a block ended: at its end, or with what is left of a loop to be skipped. */
type Ending = "end" | "break" | "continue";

/** Renders a program. Throws a `JinjaError` for what the template gets wrong and where it passes its bounds. */
export function run(program: readonly Statement[], variables: ReadonlyMap<string, Value>, bounds: Bounds): string {
  return new Run(bounds).template(program, variables);
}

class Run {
  readonly #bounds: Bounds;
  readonly #sizes = new WeakMap<object, number>();
  #steps = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  template(program: readonly Statement[], variables: ReadonlyMap<string, Value>): string {
    const scope = new Scope();
    scope.names.set("namespace", namespace);
    scope.names.set("dict", dict);
    for (const [name, value] of variables) scope.names.set(name, value);
    return withWork(workPerStep * this.#bounds.steps, () => this.#text(program, scope));
  }

  #spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > this.#bounds.steps) fail(`it took more than ${Math.floor(this.#bounds.steps)} steps`);
  }

  /** Counts what a node gave; returns it. */
  #counted(value: Value): Value {
    if (typeof value === "string") {
      if (value.length > this.#bounds.text) fail(`it makes a text of more than ${this.#bounds.text}`);
      this.#spend(value.length / 256);
    } else if (typeof value === "object" && value !== null) {
      this.#sizeOf(value);
    }
    return value;
  }

  /** Elements of a list or dict on all levels. They never change; a namespace does, so none may be within anything. */
  #sizeOf(value: Value, inside = false): number {
    if (typeof value === "string") return 1 + value.length / 256;
    if (inside && (value instanceof Namespace || value instanceof Loop)) fail("it puts a namespace into another value");
    const parts = Array.isArray(value)
      ? value
      : value instanceof Map
        ? value.values()
        : value instanceof Namespace
          ? value.entries.values()
          : undefined;
    if (!parts) return 1;
    const isFixed = !(value instanceof Namespace);
    const known = isFixed ? this.#sizes.get(value as object) : undefined;
    if (known !== undefined) return known;
    let size = 1;
    for (const part of parts) {
      size += this.#sizeOf(part, true);
      if (size > this.#bounds.elements) fail(`it makes a list or object of more than ${this.#bounds.elements}`);
    }
    this.#spend(size);
    if (isFixed) this.#sizes.set(value as object, size);
    return size;
  }

  /** The text of a block that no `break` leaves. */
  #text(body: readonly Statement[], scope: Scope): string {
    const parts: string[] = [];
    if (this.#block(body, scope, parts) !== "end") fail("break or continue stands outside of a loop");
    return this.#joined(parts);
  }

  #joined(parts: readonly string[]): string {
    return this.#counted(parts.join("")) as string;
  }

  #block(body: readonly Statement[], scope: Scope, out: string[]): Ending {
    for (const statement of body) {
      const ending = this.#statement(statement, scope, out);
      if (ending !== "end") return ending;
    }
    return "end";
  }

  #statement(node: Statement, scope: Scope, out: string[]): Ending {
    this.#spend(1);
    switch (node.type) {
      case "Comment":
        return "end";
      case "Break":
        return "break";
      case "Continue":
        return "continue";
      case "If":
        return this.#block(isTrue(this.#value(node.test, scope)) ? node.body : node.alternate, scope, out);
      case "For":
        return this.#loop(node, scope, out);
      case "Set":
        this.#set(node.assignee, node.value ? this.#value(node.value, scope) : this.#text(node.body, scope), scope);
        return "end";
      case "Macro":
        scope.names.set(node.name.value, this.#macro(node.name.value, node.args, node.body, scope));
        return "end";
      case "CallStatement": {
        const { args, named } = this.#arguments(node.call.args, scope);
        const caller = this.#macro("caller", node.callerArgs ?? [], node.body, scope);
        const given = { args, named: new Map([...named, ["caller", caller]]) };
        out.push(text(this.#call(this.#value(node.call.callee, scope), given)));
        return "end";
      }
      case "FilterStatement":
        out.push(text(this.#filter(this.#text(node.body, scope), node.filter, scope)));
        return "end";
      default: {
        const written = text(this.#value(node, scope));
        this.#counted(written);
        out.push(written);
        return "end";
      }
    }
  }

  #loop(node: Statement & { type: "For" }, scope: Scope, out: string[]): Ending {
    const chosen = node.iterable.type === "SelectExpression" ? node.iterable : undefined;
    let items = iterate(this.#value(chosen ? chosen.lhs : node.iterable, scope));
    this.#spend(items.length);
    const enter = (value: Value): Scope => {
      const inner = new Scope(scope);
      this.#spend(4);
      assign(node.loopvar, value, (name, part) => inner.names.set(name, part));
      return inner;
    };
    if (chosen) items = items.filter((value) => isTrue(this.#value(chosen.test, enter(value))));
    const outer = scope.get("loop");
    const depth = outer instanceof Loop ? (outer.entries.get("depth") as number) : 0;
    let changed: readonly Value[] | undefined;
    for (const [index, value] of items.entries()) {
      const inner = enter(value);
      const entries: [string, Value][] = [
        ["index", index + 1],
        ["index0", index],
        ["revindex", items.length - index],
        ["revindex0", items.length - index - 1],
        ["first", index === 0],
        ["last", index === items.length - 1],
        ["length", items.length],
        ["previtem", items[index - 1]],
        ["nextitem", items[index + 1]],
        ["depth", depth + 1],
        ["depth0", depth],
        ["cycle", ({ args }: Arguments) => (args.length > 0 ? args[index % args.length] : fail("cycle has no items"))],
        [
          "changed",
          ({ args }: Arguments) => {
            const before = changed;
            changed = args;
            return !before || !equals([...before], [...args]);
          },
        ],
      ];
      inner.names.set("loop", new Loop(new Map(entries)));
      if (this.#block(node.body, inner, out) === "break") break;
    }
    return items.length > 0 ? "end" : this.#block(node.defaultBlock, scope, out);
  }

  #set(target: Expression, value: Value, scope: Scope): void {
    if (target.type !== "MemberExpression") {
      assign(target, value, (name, part) => scope.names.set(name, part));
      return;
    }
    const object = this.#value(target.object, scope);
    if (!(object instanceof Namespace)) fail(`an attribute of a ${typeOf(object)} is set; only a namespace's can`);
    const name = target.computed ? this.#value(target.property, scope) : (target.property as { value: string }).value;
    if (typeof name !== "string" || name.startsWith("_")) fail("the attribute of a namespace has no such name");
    this.#sizeOf(value, true);
    object.entries.set(name, value);
  }

  #macro(name: string, parameters: readonly Parameter[], body: readonly Statement[], scope: Scope): Callable {
    return ({ args, named }) => {
      const inner = new Scope(scope);
      const caller = named.get("caller");
      const names = parameters.map((parameter) => ("key" in parameter ? parameter.key.value : parameter.value));
      const own = new Map([...named].filter(([key]) => key !== "caller" || names.includes(key)));
      inner.names.set("caller", caller);
      const values = bind(`the macro ${name}`, { args, named: own }, names);
      for (const [i, parameter] of parameters.entries()) {
        const isGiven = i < args.length || own.has(names[i]!);
        inner.names.set(names[i]!, isGiven || !("key" in parameter) ? values[i] : this.#value(parameter.value, inner));
      }
      return this.#text(body, inner);
    };
  }

  #call(callee: Value, given: Arguments): Value {
    return typeof callee === "function" ? this.#counted(callee(given)) : fail(`a ${typeOf(callee)} cannot be called`);
  }

  #arguments(nodes: readonly Expression[], scope: Scope): Arguments {
    const args: Value[] = [];
    const named = new Map<string, Value>();
    for (const node of nodes) {
      if (node.type === "KeywordArgumentExpression") named.set(node.key.value, this.#value(node.value, scope));
      else if (node.type === "SpreadExpression") args.push(...iterate(this.#value(node.argument, scope)));
      else if (node.type === "KeywordSpreadExpression") {
        const more = this.#value(node.argument, scope);
        if (!(more instanceof Map)) return fail(`a ${typeOf(more)} cannot be keyword arguments`);
        for (const [key, value] of more) named.set(String(key), value);
      } else args.push(this.#value(node, scope));
    }
    return { args, named };
  }

  #filter(value: Value, node: Expression, scope: Scope): Value {
    const call = node.type === "CallExpression" ? node : undefined;
    const name = call ? call.callee : node;
    if (name.type !== "Identifier") return fail("a filter has no name");
    const given = call ? this.#arguments(call.args, scope) : { args: [], named: new Map<string, Value>() };
    if (Array.isArray(value)) this.#spend(value.length);
    return this.#counted(filterNamed(name.value)(value, given));
  }

  #value(node: Expression, scope: Scope): Value {
    this.#spend(1);
    return this.#counted(this.#evaluate(node, scope));
  }

  #evaluate(node: Expression, scope: Scope): Value {
    switch (node.type) {
      case "StringLiteral":
      case "IntegerLiteral":
        return node.value;
      case "FloatLiteral":
        return new Float(node.value);
      case "ArrayLiteral":
        return node.value.map((part) => this.#value(part, scope));
      case "TupleLiteral":
        return Tuple.of(...node.value.map((part) => this.#value(part, scope)));
      case "ObjectLiteral":
        return new Map(
          [...node.value].map(([key, part]) => [keyOf(this.#value(key, scope)), this.#value(part, scope)]),
        );
      case "Identifier":
        return scope.get(node.value);
      case "MemberExpression": {
        const object = this.#value(node.object, scope);
        const { property } = node;
        if (!node.computed)
          return property.type === "IntegerLiteral"
            ? item(object, property.value)
            : attribute(object, (property as { value: string }).value);
        if (property.type !== "SliceExpression") return item(object, this.#value(property, scope));
        const [start, stop, step] = [property.start, property.stop, property.step].map((part) =>
          part ? this.#value(part, scope) : undefined,
        );
        return slice(object, start, stop, step);
      }
      case "CallExpression": {
        const callee = this.#value(node.callee, scope);
        return this.#call(callee, this.#arguments(node.args, scope));
      }
      case "UnaryExpression": {
        const value = this.#value(node.argument, scope);
        if (node.operator.value === "not") return !isTrue(value);
        const number = numberOf(value) ?? fail(`a ${typeOf(value)} is no number`);
        const signed = node.operator.value === "-" ? -number : number;
        return value instanceof Float ? new Float(signed) : signed + 0;
      }
      case "BinaryExpression":
        return this.#binary(node.operator.value, node.left, node.right, scope);
      case "FilterExpression":
        return this.#filter(this.#value(node.operand, scope), node.filter, scope);
      case "TestExpression": {
        const value = this.#value(node.operand, scope);
        const name = node.test.value;
        if (!Object.hasOwn(tests, name)) return fail(`the test ${JSON.stringify(name)} is not supported`);
        return tests[name]!(value, []) !== node.negate;
      }
      case "SelectExpression":
        return isTrue(this.#value(node.test, scope)) ? this.#value(node.lhs, scope) : undefined;
      case "Ternary":
        return this.#value(isTrue(this.#value(node.condition, scope)) ? node.trueExpr : node.falseExpr, scope);
      default:
        return fail(`${node.type} is not supported`);
    }
  }

  #binary(operator: string, leftNode: Expression, rightNode: Expression, scope: Scope): Value {
    const left = this.#value(leftNode, scope);
    if (operator === "and") return isTrue(left) ? this.#value(rightNode, scope) : left;
    if (operator === "or") return isTrue(left) ? left : this.#value(rightNode, scope);
    const right = this.#value(rightNode, scope);
    if (Array.isArray(left)) this.#spend(left.length / 8);
    if (Array.isArray(right)) this.#spend(right.length / 8);
    switch (operator) {
      case "==":
        return equals(left, right);
      case "!=":
        return !equals(left, right);
      case "in":
        return contains(right, left);
      case "not in":
        return !contains(right, left);
      case "~":
        return text(left) + text(right);
      case "<":
        return compare(left, right) < 0;
      case "<=":
        return compare(left, right) <= 0;
      case ">":
        return compare(left, right) > 0;
      case ">=":
        return compare(left, right) >= 0;
      default:
        return arithmetic(operator, left, right, this.#bounds);
    }
  }
}

function arithmetic(operator: string, left: Value, right: Value, bounds: Bounds): Value {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) {
    const isFloat = left instanceof Float || right instanceof Float;
    const result = (value: number): Value => {
      if (!isFloat && !Number.isSafeInteger(value)) return fail("a number is larger than 2^53");
      return isFloat ? new Float(value) : value;
    };
    if (operator === "+") return result(a + b);
    if (operator === "-") return result(a - b);
    if (operator === "*") return result(a * b);
    if (operator === "**") return b < 0 ? new Float(a ** b) : result(a ** b);
    if (b === 0) return fail("a number is divided by zero");
    if (operator === "/") return new Float(a / b);
    if (operator === "//") return result(Math.floor(a / b));
    if (operator === "%") return result(a - b * Math.floor(a / b));
  }
  if (operator === "+") {
    if (typeof left === "string" && typeof right === "string") return left + right;
    if (Array.isArray(left) && Array.isArray(right) && left instanceof Tuple === right instanceof Tuple)
      return left instanceof Tuple ? Tuple.of(...left, ...right) : [...left, ...right];
  }
  if (operator === "*") {
    const [what, count] = b === undefined ? [right, a] : [left, b];
    const times = Math.max(0, count ?? 0);
    if (count !== undefined && typeof what === "string")
      return what.length * times > bounds.text
        ? fail(`it makes a text of more than ${bounds.text}`)
        : what.repeat(times);
    if (count !== undefined && Array.isArray(what))
      return what.length * times > bounds.elements
        ? fail(`it makes a list or object of more than ${bounds.elements}`)
        : Array.from({ length: times }, () => what).flat();
  }
  return fail(`${typeOf(left)} ${operator} ${typeOf(right)} is not supported`);
}

/** Gives names their values: one name, or as many as the value has elements. */
function assign(target: Expression, value: Value, set: (name: string, value: Value) => void): void {
  if (target.type === "Identifier") return void set(target.value, value);
  if (target.type !== "TupleLiteral") fail("what is set has no name");
  const parts = iterate(value);
  if (parts.length !== target.value.length) fail(`${parts.length} values are given ${target.value.length} names`);
  for (const [i, name] of target.value.entries()) assign(name, parts[i], set);
}

/** A key of a dict, which must be a plain value. */
function keyOf(value: Value): Value {
  return typeof value === "object" && value !== null ? fail(`a ${typeOf(value)} cannot be a key here`) : value;
}

const entriesOf = ({ args, named }: Arguments, what: string): [Value, Value][] => {
  if (args.length > 1) fail(`${what} takes one argument, ${args.length} were given`);
  const [from] = args;
  const own: [Value, Value][] =
    from instanceof Map ? [...from] : iterate(from).map((pair) => [iterate(pair)[0], iterate(pair)[1]]);
  return [...own, ...named];
};

const dict: Callable = (given) => new Map(entriesOf(given, "dict"));
const namespace: Callable = (given) =>
  new Namespace(new Map(entriesOf(given, "namespace").map(([key, value]) => [text(key), value])));
