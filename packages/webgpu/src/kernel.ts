import {
  catalogue,
  checkSpec,
  type DType,
  type OperandRule,
  type OpName,
  operandBytes,
  operandIsUsed,
  type Spec,
} from "@ziggurat/tensor";
import { kernels } from "./kernels/index.js";
import type { Full, OpKernel, Stage, Traits } from "./stage.js";

/** A kernel that can be dispatched: one op, or several that were fused. */
export interface Runnable {
  /** The name of the op, or the names of several. */
  readonly op: string;
  /** The bytes that each operand must have, by name. */
  readonly needs: ReadonlyMap<string, number>;
  /** The dispatches for operands that start at these byte offsets. */
  stages(offsets?: Readonly<Record<string, number>>): readonly Stage[];
  /** The dispatches for operands at any byte offsets. */
  readonly narrow: readonly Stage[];
}

/** Several ops in one kernel. */
export class FusedKernel implements Runnable {
  readonly op: string;
  readonly needs: ReadonlyMap<string, number>;
  readonly narrow: readonly Stage[];

  constructor(op: string, needs: ReadonlyMap<string, number>, stages: readonly Stage[]) {
    this.op = op;
    this.needs = needs;
    this.narrow = stages;
  }

  stages(): readonly Stage[] {
    return this.narrow;
  }
}

/** A kernel of one op for one spec. */
export class WebGpuKernel<N extends OpName = OpName> implements Runnable {
  readonly op: N;
  readonly spec: Full<N>;
  readonly needs: ReadonlyMap<string, number>;
  readonly #kernel: OpKernel<N>;
  readonly #traits: Traits;
  #wide: readonly Stage[] | undefined;
  #narrow: readonly Stage[] | undefined;

  /** Throws an `OpError` if the spec breaks the rules of the catalogue or exceeds the limits of these kernels. */
  constructor(op: N, spec: Spec<N>, traits: Traits) {
    this.op = op;
    this.spec = checkSpec(op, spec);
    this.#kernel = kernels[op];
    this.#traits = traits;
    const loose = this.spec as unknown as Readonly<Record<string, number>> & Readonly<Record<string, DType>>;
    const used = Object.entries<OperandRule>(catalogue[op].operands).filter(([, { when }]) =>
      operandIsUsed(when, loose),
    );
    this.needs = new Map(used.map(([name, rule]) => [name, operandBytes(rule, loose, loose)]));
    this.#wide = this.#kernel.stages(this.spec, traits, true);
  }

  stages(offsets: Readonly<Record<string, number>> = {}): readonly Stage[] {
    const wide = (this.#kernel.wide ?? []).every((name) => (offsets[name] ?? 0) % 16 === 0);
    if (wide) return (this.#wide ??= this.#kernel.stages(this.spec, this.#traits, true));
    return this.narrow;
  }

  get narrow(): readonly Stage[] {
    return (this.#narrow ??= this.#kernel.stages(this.spec, this.#traits, false));
  }
}
