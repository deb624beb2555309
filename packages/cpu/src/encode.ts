import {
  catalogue,
  checkSpec,
  type DType,
  isQuantised,
  type Kernel,
  type OperandRule,
  type OpName,
  type OpRule,
  operandBytes,
  operandIsUsed,
  opNames,
  type Spec,
} from "@ziggurat/tensor";
import { extraCommands } from "./layout.js";
import { type Scratch, scratchOf } from "./scratch.js";

// Commands as words: the op's number and the length in words, then dims, options, dtypes, attributes and operands in
// the order of the catalogue. scripts/arguments.mjs writes the kernels' readers in the same order.

const dtypes: readonly DType[] = ["f32", "f16", "bf16", "i32", "q8_0", "q4_0", "q4_1"];

/** The first word of a command of `words` words. */
export const head = (command: OpName | (typeof extraCommands)[number], words: number): number => {
  const op = opNames.indexOf(command as OpName);
  const number = op >= 0 ? op : opNames.length + extraCommands.indexOf(command as (typeof extraCommands)[number]);
  return number | (words << 8);
};

interface OperandPlace {
  readonly name: string;
  readonly word: number;
  readonly bytes: number;
  readonly written: boolean;
}

/** A kernel whose command lacks only the addresses of operands. */
export class CpuKernel<N extends OpName = OpName> implements Kernel<N> {
  readonly op: N;
  readonly spec: Spec<N>;
  readonly words: Int32Array;
  readonly operands: readonly OperandPlace[];
  readonly scratch: Scratch;
  /** Of all operands that the op may have. */
  readonly names: ReadonlySet<string>;

  constructor(op: N, spec: Spec<N>) {
    this.op = op;
    const checked = checkSpec(op, spec);
    this.spec = checked as Spec<N>;
    const rule: OpRule = catalogue[op];
    const given = checked as unknown as Readonly<Record<string, number | string | boolean>>;
    const words: number[] = [0];
    for (const name of [...rule.dims, ...(rule.options ?? [])]) words.push(given[name] as number);
    for (const name of Object.keys(rule.dtypes)) words.push(dtypes.indexOf(given[name] as DType));
    for (const [name, kind] of Object.entries(rule.attributes)) {
      const value = given[name];
      if (kind === "number") words.push(...new Int32Array(new Float64Array([value as number]).buffer));
      else if (kind === "boolean") words.push(Number(value));
      else words.push(kind.indexOf(value as string));
    }
    const operands: OperandPlace[] = [];
    for (const [name, operand] of Object.entries<OperandRule>(rule.operands)) {
      if (operandIsUsed(operand.when, given)) {
        operands.push({
          name,
          word: words.length,
          written: operand.access !== "read",
          bytes: operandBytes(
            operand,
            given as Readonly<Record<string, DType>>,
            given as Readonly<Record<string, number>>,
          ),
        });
      }
      words.push(0);
    }
    words[0] = head(op, words.length);
    this.words = Int32Array.from(words);
    this.operands = operands;
    this.names = new Set(Object.keys(rule.operands));
    const quantised = Object.keys(rule.dtypes).some((name) => isQuantised(given[name] as DType));
    this.scratch = scratchOf(op, { ...(given as Readonly<Record<string, number>>), quantised: Number(quantised) });
  }
}

/** A growing list of words. */
export class Words {
  #words = new Int32Array(1024);
  length = 0;

  /** Room for `count` more words; returns where they start in {@link words}. */
  take(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#words.length) {
      const larger = new Int32Array(2 * this.length);
      larger.set(this.#words);
      this.#words = larger;
    }
    return at;
  }

  get words(): Int32Array {
    return this.#words;
  }

  push(...values: number[]): void {
    this.#words.set(values, this.take(values.length));
  }

  /** The words so far, as a view: valid until the next change. */
  get all(): Int32Array {
    return this.#words.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }
}
