import { tasks as knownTasks, type Task } from "@ziggurat/cli/haystack";
import { type Cell, canonicalJson, EvaluationError, type QuestionPlace } from "@ziggurat/eval";
import { type PolicySpec, parseKeep, parsePolicy } from "@ziggurat/policies";

/** What is to be run: every combination of tasks, lengths, question places, policies, budgets and seeds. */
export interface Plan {
  readonly title: string;
  readonly tasks: readonly Task[];
  /** Tokens of a prompt. */
  readonly tokens: readonly number[];
  readonly questions: readonly QuestionPlace[];
  /** Policies with their options but for the budget: `snapkv:window=8`. */
  readonly policies: readonly string[];
  /** Rows per layer, `128`, or a share of the prompt, `12%`. */
  readonly budgets: readonly string[];
  readonly seeds: readonly number[];
  /** Items of each cell. */
  readonly items: number;
  /** The policy that others are compared with, beside the full cache. */
  readonly baseline?: string;
}

/** One cell, and the policy that it names. */
export interface PlannedCell {
  readonly cell: Cell;
  readonly task: Task;
  readonly spec: PolicySpec;
}

/** Policies without which a table says little. */
const controls = ["full", "random", "sinks"];

const fields = ["title", "tasks", "tokens", "questions", "policies", "budgets", "seeds", "items", "baseline"] as const;

/** Checks a plan, as JSON. Throws an `EvaluationError` that names the field and what it must be. */
export function checkPlan(value: unknown, where: string): Plan {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new EvaluationError(`${where} is no object; a plan has the fields ${fields.join(", ")}`);
  const given = value as Readonly<Record<string, unknown>>;
  const fail = (name: string, right: string): never => {
    throw new EvaluationError(`${where}: ${name} is ${JSON.stringify(given[name])}; it must be ${right}`);
  };
  for (const name of Object.keys(given)) {
    if (!(fields as readonly string[]).includes(name))
      throw new EvaluationError(`${where}: no field is called ${JSON.stringify(name)}; there are ${fields.join(", ")}`);
  }
  const list = (name: string, right: string, is: (entry: unknown) => boolean) => {
    const entries = given[name];
    if (!Array.isArray(entries) || entries.length === 0 || !entries.every(is)) fail(name, right);
    if (new Set(entries as unknown[]).size < (entries as unknown[]).length) fail(name, `${right}, each once`);
  };
  const whole = (least: number, most: number) => (entry: unknown) =>
    Number.isSafeInteger(entry) && (entry as number) >= least && (entry as number) <= most;
  if (typeof given.title !== "string") fail("title", "a text");
  list("tasks", `a list of ${knownTasks.join(", ")}`, (task) => knownTasks.includes(task as Task));
  list("tokens", "a list of whole numbers of at least 128", whole(128, 2 ** 20));
  list("questions", 'a list of "inside" and "later"', (place) => place === "inside" || place === "later");
  list("policies", 'a list of policies, as "snapkv:window=8"', (policy) => typeof policy === "string");
  list("budgets", 'a list of budgets, as "128" or "12%"', (budget) => typeof budget === "string");
  list("seeds", "a list of whole numbers from 0 to 999", whole(0, 999));
  if (!whole(1, 100_000)(given.items)) fail("items", "a whole number from 1 to 100000");
  const plan = given as unknown as Plan;
  if (plan.baseline !== undefined && !plan.policies.some((policy) => parsePolicy(policy).listed.name === plan.baseline))
    fail("baseline", "one of the plan's policies");
  return plan;
}

/**
 * Expands a plan for a model. The controls are added if the plan lacks them. Throws a `PolicyError` for a policy that
 * does not exist, or an option or budget out of range.
 */
export function expand(plan: Plan, { model, rowDType }: { model: string; rowDType: string }): PlannedCell[] {
  const specs = plan.policies.map(parsePolicy);
  for (const name of controls) if (!specs.some(({ listed }) => listed.name === name)) specs.push(parsePolicy(name));
  const cells = new Map<string, PlannedCell>();
  for (const task of plan.tasks)
    for (const tokens of plan.tokens)
      for (const question of plan.questions)
        for (const seed of plan.seeds)
          for (const spec of specs)
            for (const keep of budgetsOf(spec, plan)) {
              const cell: Cell = {
                ...{ model, policy: { name: spec.listed.name, options: spec.options }, rowDType },
                ...{ task: { name: task, options: {} }, tokens, question, seed, items: plan.items },
                ...(keep ? { budget: keep } : {}),
              };
              cells.set(canonicalJson(cell), { cell, task, spec: { ...spec, ...(keep ? { keep } : {}) } });
            }
  return [...cells.values()];
}

/** The budgets of one policy: its own, if it names one, or the plan's; none for a policy without a budget. */
function budgetsOf(spec: PolicySpec, { budgets }: Plan) {
  if (!("keep" in spec.listed.options.declared)) return [undefined];
  return spec.keep ? [spec.keep] : budgets.map((budget) => parseKeep("budgets", budget));
}
