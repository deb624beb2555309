import { asked, type LayerView, type Policy, PolicyError, ranking } from "@ziggurat/policy";
import type { Buffer, Slice } from "@ziggurat/tensor";
import { asNode, compile, inputsOf, type Node, needsTextOrder } from "@ziggurat/tensor/expression";
import { bestRows, type Choice, release } from "./choice.js";
import type { CacheLayer } from "./shape.js";
import { columnInput, type Moment, makeView, sourceOf } from "./sources.js";

/** What is decided about one layer's rows, as expressions. */
interface Decision {
  /** The columns after this step, in the scorer's order; empty if it does not observe. */
  readonly columns: readonly Node[];
  /** Ranks the rows; set if the layer is compressed. */
  readonly ranking: Node | undefined;
}

/** A decision that is ready to run. */
export interface Work {
  /** Enqueues it: columns are updated in place, then the rows to keep are chosen. May be recorded. */
  run(): void;
  /** The rows that stay; set if the layer is compressed. */
  readonly choice: Choice | undefined;
  /** Whether the policy needs rows to stay in the order of the text. */
  readonly ordered: boolean;
  /** Returns the temporaries to the moment's pool. Commands enqueued before may still use them. */
  free(): void;
}

/** How many rows stay: i32 [heads], none above `most`. */
export interface Compression {
  readonly keep: Slice;
  readonly most: number;
}

/**
 * Prepares one decision about a layer's rows: sum attention, observe, score, choose. Without `compression` the policy
 * only observes. Throws a `PolicyError` if what the policy returns does not fit the layer.
 */
export async function decide(
  policy: Policy,
  layer: CacheLayer,
  moment: Moment,
  compression: Compression | undefined,
): Promise<Work> {
  const { backend, pool, facts, offset, length, ended, arenaRows, firstColumn, plane } = moment;
  const { sequences, kvHeads, rows: capacity } = facts;
  const names = policy.score.columns ?? [];
  const { view, leaves } = makeView(facts, names);
  const { columns, ranking: ranked }: Decision =
    layer.kind === "sliding"
      ? newestRows(view)
      : asked(policy.name, `layer ${facts.layer}: the policy`, () =>
          ask(policy, view, leaves, compression !== undefined),
        );
  const outputs = ranked ? [...columns, ranked] : columns;

  const taken: Buffer[] = [];
  const take = (words: number): Slice => {
    const slice = pool.take(words);
    taken.push(slice.buffer);
    return slice;
  };
  const inputs: Record<string, Slice> = {};
  const early: (() => void)[] = [];
  const commands: (() => void)[] = [];
  for (const name of inputsOf(outputs)) {
    const source = sourceOf(name, names, firstColumn);
    const ready = await source.ready(moment, take);
    inputs[name] = ready.slice;
    (source.early ? early : commands).push(...ready.commands);
  }

  const compiled = await compile(backend, outputs, { inputs, length }, pool);
  commands.push(compiled.run);
  if (columns.length > 0) {
    const store = await backend.prepare("store", { sequences, kvHeads, capacity, arenaRows });
    columns.forEach((node, index) => {
      if (node.what.op === "input" && node.what.name === columnInput(names[index]!)) return;
      const target = plane(firstColumn + index);
      const x = compiled.outputs[index]!;
      commands.push(() => backend.dispatch(store, { x, offset, length, ended, target }));
    });
  }
  let choice: Choice | undefined;
  if (ranked && compression) {
    const place = {
      backend,
      pool,
      heads: sequences * kvHeads,
      capacity,
      arenaRows,
      positions: plane(0),
      offset,
      length,
    };
    const best = await bestRows(place, compiled.outputs.at(-1)!, compression);
    commands.push(best.run);
    choice = best.choice;
  }
  const all = [...early, ...(moment.arrive ? [moment.arrive] : []), ...commands];
  return {
    run: () => all.forEach((command) => command()),
    choice,
    ordered: needsTextOrder(outputs),
    free() {
      if (choice) release(pool, choice);
      compiled.free();
      for (const buffer of taken.splice(0)) pool.free(buffer);
    },
  };
}

/** Sliding layers keep their newest rows; no policy is asked. */
const newestRows = ({ positions }: LayerView): Decision => ({ columns: [], ranking: asNode(positions) });

/** Asks a policy, with tensors that have no numbers yet, and checks what it returns. */
function ask(policy: Policy, view: LayerView<string>, leaves: ReadonlySet<Node>, compresses: boolean): Decision {
  const { name, score, protect } = policy;
  const [heads, capacity] = view.positions.shape;
  const check = (tensor: unknown, what: string): Node => {
    const node = nodeOf(tensor, `${name}: layer ${view.layer}: ${what}`);
    if (node.shape.length !== 2 || node.shape[0] !== heads || node.shape[1] !== capacity) {
      throw new PolicyError(
        `${name}: layer ${view.layer}: ${what} has shape [${node.shape.join(", ")}]; it must be [heads, rows] = [${heads}, ${capacity}]`,
      );
    }
    for (const leaf of leavesOf(node, `${name}: layer ${view.layer}: ${what}`)) {
      if (!leaves.has(leaf))
        throw new PolicyError(
          `${name}: layer ${view.layer}: ${what} is made from another view; every call must use the tensors it is given`,
        );
    }
    return node;
  };
  const columns = score.columns ?? [];
  const observed = score.observe?.(view);
  if (observed !== undefined) checkNames(policy, observed);
  const nodes = observed ? columns.map((column) => check(observed[column], `column "${column}"`)) : [];
  if (!compresses) return { columns: nodes, ranking: undefined };
  const named = columns.map((column, index) => [column, nodes[index]!]);
  const after = observed ? Object.freeze({ ...view, columns: Object.freeze(Object.fromEntries(named)) }) : view;
  const scores = check(score.score(after), "the score");
  const mask = check(protect.mask(after), "the mask of protected rows");
  return { columns: nodes, ranking: asNode(ranking(scores, mask)) };
}

/** Throws a `PolicyError` unless `observe` returned an object with the scorer's columns. */
function checkNames({ name, score: { columns = [] } }: Policy, observed: unknown): void {
  const wanted = columns.length > 0 ? columns.map((column) => `"${column}"`).join(", ") : "no columns";
  if (typeof observed !== "object" || observed === null)
    throw new PolicyError(`${name}: observe gave ${String(observed)}; it must be an object of tensors: ${wanted}`);
  const given = Object.keys(observed);
  const stray = given.find((column) => !columns.includes(column));
  if (stray !== undefined)
    throw new PolicyError(`${name}: observe gave the column "${stray}"; the scorer declares ${wanted}`);
  const missing = columns.find((column) => !given.includes(column));
  if (missing !== undefined)
    throw new PolicyError(`${name}: observe gave no column "${missing}"; the scorer declares ${wanted}`);
}

/** The most operations of one expression, which are compiled and run at every decision. */
const mostOperations = 1024;

/** The tensors without numbers that an expression starts from. Throws a `PolicyError` for one without end. */
function leavesOf(expression: Node, what: string): Set<Node> {
  const leaves = new Set<Node>();
  const seen = new Set<Node>([expression]);
  for (const node of seen) {
    if (node.what.op === "input") leaves.add(node);
    for (const from of node.inputs) seen.add(from);
    if (seen.size > mostOperations) throw new PolicyError(`${what} is made by more than ${mostOperations} operations`);
  }
  return leaves;
}

function nodeOf(tensor: unknown, what: string): Node {
  try {
    return asNode(tensor as Node);
  } catch {
    throw new PolicyError(
      `${what} is ${tensor === null ? "null" : typeof tensor}; it must be a tensor made from the view`,
    );
  }
}
