import {
  catalogue,
  checkSpec,
  type DType,
  type Kernel,
  type OperandRule,
  type OpName,
  type OpRule,
  operandBytes,
  operandIsUsed,
  type Spec,
} from "@ziggurat/tensor";
import { type Encoded, encode, type Launch, type Place, type Plan } from "./launch.js";
import { plans } from "./plan.js";

export interface OperandPlace {
  readonly name: string;
  readonly bytes: number;
}

/** Encoded launches with the operands whose addresses they need. */
export interface Encodable {
  readonly op: string;
  readonly operands: readonly OperandPlace[];
  /** The names of all operands that may be passed. */
  readonly names: ReadonlySet<string>;
  /** The names of operands that are written. */
  readonly writes: ReadonlySet<string>;
  /** The names of operands that the first launch may read before the launches before it are complete. */
  readonly early: readonly string[];
  encoded(aligned: boolean): Encoded;
}

/** Of keys and values, only rows within `length` are read early: not those that `append` writes. */
const earlyOf = { linear: ["weight"], decodeAttention: ["keys", "values", "offset", "length"] } as const;

/** A kernel with its encoded launches, which lack only the addresses of operands. */
export class CudaKernel<N extends OpName = OpName> implements Kernel<N>, Encodable {
  readonly op: N;
  readonly spec: Spec<N>;
  readonly operands: readonly OperandPlace[];
  /** The names of all operands that the op can have. */
  readonly names: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
  readonly early: readonly string[];
  readonly #place: Omit<Place, "aligned">;
  readonly #kernelId: (launch: Launch) => number;
  readonly #encoded: [unaligned?: Encoded, aligned?: Encoded] = [];

  /**
   * Checks the spec and encodes its launches. `kernelId` loads the kernel of a launch and returns its id. Throws an
   * `OpError` if the spec violates the catalogue or a limit of the kernels.
   */
  constructor(op: N, spec: Spec<N>, place: Omit<Place, "aligned">, kernelId: (launch: Launch) => number) {
    this.op = op;
    this.spec = checkSpec(op, spec) as Spec<N>;
    this.#place = place;
    this.#kernelId = kernelId;
    const rule: OpRule = catalogue[op];
    const given = this.spec as unknown as Readonly<Record<string, number>> & Readonly<Record<string, DType>>;
    this.names = new Set(Object.keys(rule.operands));
    this.writes = new Set(this.#written(rule));
    this.early = (earlyOf as Partial<Record<OpName, readonly string[]>>)[op] ?? [];
    this.operands = Object.entries<OperandRule>(rule.operands)
      .filter(([, operand]) => operandIsUsed(operand.when, given))
      .map(([name, operand]) => ({ name, bytes: operandBytes(operand, given, given) }));
    this.encoded(true);
  }

  /** The launches for operands that all start at multiples of 16 bytes, or for arbitrary operands. */
  encoded(aligned: boolean): Encoded {
    return (this.#encoded[Number(aligned)] ??= this.#encode(aligned));
  }

  #written({ operands }: OpRule): string[] {
    return Object.keys(operands).filter((name) => operands[name]!.access !== "read");
  }

  #encode(aligned: boolean): Encoded {
    const plan = plans[this.op] as Plan<N>;
    const used = new Set(this.operands.map(({ name }) => name));
    const work = plan(this.spec as Required<Spec<N>>, { ...this.#place, aligned });
    return encode(work, this.#kernelId, (operand) => used.has(operand));
  }
}
