import { deepStrictEqual, strictEqual } from "node:assert";

// The part of vitest that the conformance suite uses, for machines that have only Node. Tests run in order, in one
// process.

type Body = (context: { skip: (why: string) => never }) => unknown;
interface Suite {
  readonly name: string;
  readonly parent: Suite | undefined;
  readonly children: (Suite | { readonly name: string; readonly body: Body })[];
  readonly hooks: Record<"beforeAll" | "afterAll" | "beforeEach" | "afterEach", (() => unknown)[]>;
}

const suite = (name: string, parent?: Suite): Suite => ({
  name,
  parent,
  children: [],
  hooks: { beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] },
});
const top = suite("");
let current = top;

export function describe(name: string, body: () => void): void {
  const child = suite(name, current);
  current.children.push(child);
  current = child;
  body();
  current = child.parent!;
}
export const it = (name: string, body: Body) => void current.children.push({ name, body });
export const test = it;
export const beforeAll = (hook: () => unknown) => void current.hooks.beforeAll.push(hook);
export const afterAll = (hook: () => unknown) => void current.hooks.afterAll.push(hook);
export const beforeEach = (hook: () => unknown) => void current.hooks.beforeEach.push(hook);
export const afterEach = (hook: () => unknown) => void current.hooks.afterEach.push(hook);

/** The properties of `value` that `pattern` names, for comparison. */
const partOf = (value: unknown, pattern: unknown): unknown => {
  if (typeof pattern !== "object" || pattern === null || Array.isArray(pattern)) return value;
  const object = (value ?? {}) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(pattern).map(([key, part]) => [key, partOf(object[key], part)]));
};
const truth = (holds: boolean, what: string) => {
  if (!holds) throw new Error(what);
};
const show = (value: unknown) => (value instanceof Error ? `${value.name}: ${value.message}` : String(value));

export const expect = (value: unknown, about = "") => ({
  toBe: (other: unknown) => strictEqual(value, other, about || undefined),
  toEqual: (other: unknown) => deepStrictEqual(value, other),
  toMatchObject: (pattern: unknown) => deepStrictEqual(partOf(value, pattern), pattern),
  toBeInstanceOf: (kind: abstract new (...given: never[]) => unknown) =>
    truth(value instanceof kind, `${show(value)} is no ${kind.name}`),
  toBeGreaterThan: (other: number) => truth((value as number) > other, `${value} is not above ${other}`),
  toBeGreaterThanOrEqual: (other: number) => truth((value as number) >= other, `${value} is below ${other}`),
  toHaveProperty: (name: string, other: unknown) =>
    truth(
      (value as Record<string, unknown> | undefined)?.[name] === other,
      `${name} of ${show(value)} is not ${other}`,
    ),
  not: { toBe: (other: unknown) => truth(!Object.is(value, other), `is ${show(other)}`) },
});

export interface Tally {
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly { readonly name: string; readonly message: string }[];
}

class Skip extends Error {}
const skip = (why: string): never => {
  throw new Skip(why);
};

/** Runs the described tests whose full name contains `filter`. */
export async function run(filter: string, log: (line: string) => void): Promise<Tally> {
  const failures: { name: string; message: string }[] = [];
  let [passed, skipped] = [0, 0];
  const holds = (names: string): boolean => names.includes(filter);
  const visit = async (
    node: Suite,
    name: string,
    each: { before: (() => unknown)[]; after: (() => unknown)[] },
  ): Promise<void> => {
    const wanted = (child: Suite["children"][number], path: string): boolean =>
      "children" in child ? child.children.some((next) => wanted(next, `${path} > ${next.name}`)) : holds(path);
    const path = (child: Suite["children"][number]) => (name === "" ? child.name : `${name} > ${child.name}`);
    const chosen = node.children.filter((child) => wanted(child, path(child)));
    if (chosen.length === 0) return;
    const hooks = {
      before: [...each.before, ...node.hooks.beforeEach],
      after: [...node.hooks.afterEach, ...each.after],
    };
    const attempt = async (what: string, body: () => unknown): Promise<boolean> => {
      try {
        await body();
        return true;
      } catch (error) {
        if (error instanceof Skip) skipped++;
        else {
          failures.push({ name: what, message: show(error) });
          log(`FAILED ${what}\n  ${show(error)}`);
        }
        return false;
      }
    };
    for (const hook of node.hooks.beforeAll) if (!(await attempt(`${name} (before all)`, hook))) return;
    for (const child of chosen) {
      if ("children" in child) {
        await visit(child, path(child), hooks);
        continue;
      }
      const ran = await attempt(path(child), async () => {
        for (const hook of hooks.before) await hook();
        await child.body({ skip });
      });
      if (ran) passed++;
      for (const hook of hooks.after) await attempt(`${path(child)} (after each)`, hook);
    }
    for (const hook of node.hooks.afterAll) await attempt(`${name} (after all)`, hook);
  };
  await visit(top, "", { before: [], after: [] });
  return { passed, skipped, failures };
}
