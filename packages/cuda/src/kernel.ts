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

interface OperandPlace {
  readonly name: string;
  readonly bytes: number;
}

/** A kernel with its encoded launches, which lack only the addresses of operands. */
export class CudaKernel<N extends OpName = OpName> implements Kernel<N> {
  readonly op: N;
  readonly spec: Spec<N>;
  readonly operands: readonly OperandPlace[];
  /** The names of all operands that the op can have. */
  readonly names: ReadonlySet<string>;
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
    this.operands = Object.entries<OperandRule>(rule.operands)
      .filter(([, operand]) => operandIsUsed(operand.when, given))
      .map(([name, operand]) => ({ name, bytes: operandBytes(operand, given, given) }));
    this.encoded(true);
  }

  /** The launches for operands that all start at multiples of 16 bytes, or for arbitrary operands. */
  encoded(aligned: boolean): Encoded {
    return (this.#encoded[Number(aligned)] ??= this.#encode(aligned));
  }

  #encode(aligned: boolean): Encoded {
    const plan = plans[this.op] as Plan<N>;
    const used = new Set(this.operands.map(({ name }) => name));
    const work = plan(this.spec as Required<Spec<N>>, { ...this.#place, aligned });
    return encode(work, this.#kernelId, (operand) => used.has(operand));
  }
}
