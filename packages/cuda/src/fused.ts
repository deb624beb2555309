import { type Fusion, fuse, joinedAdvances, type Slice } from "@ziggurat/tensor";
import { CudaKernel, type Encodable, type OperandPlace } from "./kernel.js";
import { type Encoded, encode, type Launch, type Place, type Work } from "./launch.js";
import { type FusedSpec, fusedPlans } from "./plans/fused.js";

type GroupFusion = Exclude<Fusion, "advances">;
type Given = Readonly<Record<string, Slice | undefined>>;

/** A dispatch in a recording. */
export interface Recordable {
  readonly kernel: CudaKernel;
  readonly operands: Given;
}

export interface Bindable {
  readonly kernel: Encodable;
  readonly operands: Given;
}

/**
 * Whether the launches of `next` may overlap those of `previous`: nothing that they read early is written. Rows that an
 * `append` writes lie beyond the lengths that attention reads early.
 */
export function mayOverlap(previous: Bindable | undefined, next: Bindable): boolean {
  if (!previous || next.kernel.early.length === 0) return true;
  const bytesOf = ({ kernel }: Bindable, name: string) =>
    kernel.operands.find((operand) => operand.name === name)?.bytes ?? 0;
  const step = previous.kernel.op === "append" ? "" : previous.kernel.op === "normLinearRopeAppend" ? "3." : undefined;
  const isSame = (name: string) => {
    const [a, b] = [previous.operands[`${step}${name}`], next.operands[name]];
    return a?.buffer === b?.buffer && a?.offset === b?.offset;
  };
  const appends = step !== undefined && isSame("offset") && isSame("length");
  for (const name of previous.kernel.writes) {
    const written = previous.operands[name];
    if (!written || (appends && (name === `${step}keys` || name === `${step}values`))) continue;
    const end = written.offset + bytesOf(previous, name);
    for (const other of next.kernel.early) {
      const read = next.operands[other];
      if (read?.buffer !== written.buffer) continue;
      if (read.offset < end && written.offset < read.offset + bytesOf(next, other)) return false;
    }
  }
  return true;
}

/** The kernel of a group of dispatches, whose operands are named "step.operand". */
class FusedKernel implements Encodable {
  readonly op: Fusion;
  readonly operands: readonly OperandPlace[];
  readonly names: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
  readonly early: readonly string[];
  readonly #encoded: Encoded;

  constructor(op: GroupFusion, kernels: readonly CudaKernel[], work: Work, kernelId: (launch: Launch) => number) {
    this.op = op;
    const given = kernels.flatMap(({ operands }, step) =>
      operands.map(({ name, bytes }) => ({ name: `${step}.${name}`, bytes })),
    );
    const all = new Set(given.map(({ name }) => name));
    this.#encoded = encode(work, kernelId, (operand) => all.has(operand));
    this.writes = new Set(kernels.flatMap(({ writes }, step) => [...writes].map((name) => `${step}.${name}`)));
    this.names = new Set([...this.#encoded.patches.map(({ operand }) => operand), ...this.writes]);
    this.operands = given.filter(({ name }) => this.names.has(name));
    this.early = ["1.weight"];
  }

  encoded(): Encoded {
    return this.#encoded;
  }
}

/** Groups recorded dispatches and makes the kernels of groups, once for each combination of specs. */
export class Fuser {
  readonly #place: Omit<Place, "aligned">;
  readonly #kernelId: (launch: Launch) => number;
  readonly #kernels = new Map<string, Encodable | undefined>();

  /** `kernelId` loads the kernel of a launch and returns its id. */
  constructor(place: Omit<Place, "aligned">, kernelId: (launch: Launch) => number) {
    this.#place = place;
    this.#kernelId = kernelId;
  }

  /** The dispatches that run in place of the recorded ones, in order. */
  fuse(recorded: readonly Recordable[]): Bindable[] {
    const groups = fuse(recorded, (fusion, dispatches) => this.#kernel(fusion, dispatches) !== undefined);
    return groups.flatMap(({ fusion, dispatches }) => {
      if (!fusion) return dispatches;
      return fusion === "advances" ? this.#advance(dispatches) : this.#group(fusion, dispatches);
    });
  }

  #advance(dispatches: readonly Recordable[]): Bindable {
    const spec = joinedAdvances(dispatches);
    const make = () => new CudaKernel("advance", spec, this.#place, this.#kernelId);
    return { kernel: this.#known(JSON.stringify(spec), make)!, operands: dispatches[0]!.operands };
  }

  #group(fusion: GroupFusion, dispatches: readonly Recordable[]): Bindable {
    const kernel = this.#kernel(fusion, dispatches)!;
    const operands = dispatches.flatMap(({ operands }, step) =>
      Object.entries(operands)
        .map(([name, slice]) => [`${step}.${name}`, slice] as const)
        .filter(([name]) => kernel.names.has(name)),
    );
    return { kernel, operands: Object.fromEntries(operands) };
  }

  /** The kernel of a group; undefined if there is none for these specs, or for operands at these addresses. */
  #kernel(fusion: GroupFusion, dispatches: readonly Recordable[]): Encodable | undefined {
    const slices = dispatches.flatMap(({ operands }) => Object.values(operands));
    if (!slices.every((slice) => !slice || slice.offset % 16 === 0)) return undefined;
    const kernels = dispatches.map(({ kernel }) => kernel);
    return this.#known(JSON.stringify([fusion, ...kernels.map(({ spec }) => spec)]), () => {
      const specs = kernels.map(({ spec }) => spec as unknown as FusedSpec);
      const work = fusedPlans[fusion](specs, { ...this.#place, aligned: true });
      return work && new FusedKernel(fusion, kernels, work, this.#kernelId);
    });
  }

  #known(key: string, make: () => Encodable | undefined): Encodable | undefined {
    if (!this.#kernels.has(key)) this.#kernels.set(key, make());
    return this.#kernels.get(key);
  }
}
