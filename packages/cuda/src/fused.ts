import { type Fusion, fuse, type Group, type Slice } from "@ziggurat/tensor";
import type { CudaKernel, Encodable, OperandPlace } from "./kernel.js";
import { type Encoded, encode, type Launch, type Work } from "./launch.js";
import { type FusedSpec, fusedPlans } from "./plans/fused.js";

type Given = Readonly<Record<string, Slice | undefined>>;

/** A dispatch in a recording. */
export interface Recordable {
  readonly kernel: CudaKernel;
  readonly operands: Given;
}

interface Bindable {
  readonly kernel: Encodable;
  readonly operands: Given;
}

/** The kernel of a group of dispatches, whose operands are named "step.operand". */
class FusedKernel implements Encodable {
  readonly op: Fusion;
  readonly operands: readonly OperandPlace[];
  readonly names: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
  readonly early: string | undefined;
  readonly #encoded: Encoded;

  constructor(op: Fusion, kernels: readonly CudaKernel[], work: Work, kernelId: (launch: Launch) => number) {
    this.op = op;
    const given = kernels.flatMap(({ operands }, step) =>
      operands.map(({ name, bytes }) => ({ name: `${step}.${name}`, bytes })),
    );
    const all = new Set(given.map(({ name }) => name));
    this.#encoded = encode(work, kernelId, (operand) => all.has(operand));
    const used = new Set(this.#encoded.patches.map(({ operand }) => operand));
    this.operands = given.filter(({ name }) => used.has(name));
    this.names = used;
    this.writes = new Set(kernels.flatMap(({ writes }, step) => [...writes].map((name) => `${step}.${name}`)));
    this.early = used.has("1.weight") ? "1.weight" : undefined;
  }

  encoded(): Encoded {
    return this.#encoded;
  }
}

/** Groups recorded dispatches and makes the kernels of groups, once for each combination of specs. */
export class Fuser {
  readonly #kernelId: (launch: Launch) => number;
  readonly #kernels = new Map<string, FusedKernel | undefined>();

  /** `kernelId` loads the kernel of a launch and returns its id. */
  constructor(kernelId: (launch: Launch) => number) {
    this.#kernelId = kernelId;
  }

  /** The dispatches that run in place of the recorded ones, in order. */
  fuse(recorded: readonly Recordable[]): Bindable[] {
    return fuse(recorded).flatMap((group) => this.#one(group));
  }

  #one({ fusion, dispatches }: Group<Recordable>): readonly Bindable[] {
    if (!fusion) return dispatches;
    const aligned =
      fusion === "advances" ||
      dispatches.every(({ operands }) => Object.values(operands).every((slice) => !slice || slice.offset % 16 === 0));
    if (!aligned) return dispatches;
    const key = JSON.stringify([fusion, ...dispatches.map(({ kernel }) => kernel.spec)]);
    if (!this.#kernels.has(key)) this.#kernels.set(key, this.#make(fusion, dispatches));
    const kernel = this.#kernels.get(key);
    if (!kernel) return dispatches;
    const operands = Object.fromEntries(
      dispatches.flatMap(({ operands }, step) =>
        Object.entries(operands).flatMap(([name, slice]): [string, Slice][] =>
          slice && kernel.names.has(`${step}.${name}`) ? [[`${step}.${name}`, slice]] : [],
        ),
      ),
    );
    return [{ kernel, operands }];
  }

  #make(fusion: Fusion, dispatches: readonly Recordable[]): FusedKernel | undefined {
    const kernels = dispatches.map(({ kernel }) => kernel);
    const work = fusedPlans[fusion](kernels.map(({ spec }) => spec as unknown as FusedSpec));
    return work && new FusedKernel(fusion, kernels, work, this.#kernelId);
  }
}
