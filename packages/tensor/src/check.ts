import type { Kernel, Slice } from "./backend.js";
import { catalogue, type Operands, type OpName, type OpRule, operandBytes, type Spec } from "./catalogue.js";
import { blockSize, type DType, isQuantised } from "./dtype.js";

/** A spec or operands that the catalogue does not allow: an error of the program that calls the backend. */
export class OpError extends Error {
  override readonly name = "OpError";
}

/** Kernels hold dimensions and options in 32 bits. */
const most = 2 ** 31 - 1;

type Loose = Readonly<Record<string, unknown>>;
const ruleOf = (op: string): OpRule => {
  const rule = (catalogue as Readonly<Record<string, OpRule>>)[op];
  if (!rule) throw new OpError(`there is no op "${op}"; see the catalogue of @ziggurat/tensor`);
  return rule;
};

/** Checks a spec against the catalogue and fills in defaults (options 0, flags false). Throws an {@link OpError}. */
export function checkSpec<N extends OpName>(op: N, spec: Spec<N>): Required<Spec<N>> {
  const rule = ruleOf(op);
  const given = spec as Loose;
  const full: Record<string, unknown> = {};
  for (const dim of rule.dims) {
    const value = given[dim];
    if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > most) {
      throw new OpError(`${op}: ${dim} is ${String(value)}; it must be a whole number from 1 to ${most}`);
    }
    full[dim] = value;
  }
  for (const option of rule.options ?? []) {
    const value = given[option] ?? 0;
    if (!Number.isSafeInteger(value) || (value as number) < 0 || (value as number) > most) {
      throw new OpError(`${op}: ${option} is ${String(value)}; it must be a whole number from 0 to ${most}`);
    }
    full[option] = value;
  }
  for (const [name, allowed] of Object.entries(rule.dtypes)) {
    if (!allowed.includes(given[name] as DType)) {
      throw new OpError(`${op}: ${name} is ${String(given[name])}; it must be one of ${allowed.join(", ")}`);
    }
    full[name] = given[name];
    const width = full.width as number | undefined;
    if (isQuantised(given[name] as DType) && width !== undefined && width % blockSize !== 0) {
      throw new OpError(`${op}: ${String(given[name])} needs a width that is a multiple of ${blockSize}, not ${width}`);
    }
  }
  for (const [name, kind] of Object.entries(rule.attributes)) {
    const value = kind === "boolean" ? (given[name] ?? false) : given[name];
    const right = typeof kind === "string" ? typeof value === kind : kind.includes(value as string);
    if (!right) {
      throw new OpError(
        `${op}: ${name} is ${String(value)}; it must be ${typeof kind === "string" ? `a ${kind}` : kind.join(" or ")}`,
      );
    }
    full[name] = value;
  }
  const known = new Set(Object.keys(full));
  const stray = Object.keys(given).find((name) => !known.has(name) && given[name] !== undefined);
  if (stray !== undefined) throw new OpError(`${op}: the spec has no "${stray}"; it has ${[...known].join(", ")}`);
  for (const requirement of rule.requires ?? []) {
    const wrong = requirement(full as Readonly<Record<string, number | string | boolean>>);
    if (wrong !== undefined) throw new OpError(`${op}: ${wrong}`);
  }
  return full as Required<Spec<N>>;
}

/** Whether an op uses an operand under a (checked) spec. */
export const operandIsUsed = (when: string | undefined, spec: Loose): boolean =>
  when === undefined || (when.startsWith("!") ? spec[when.slice(1)] !== true : spec[when] === true);

/** Checks that every operand that the kernel's spec needs is given and large enough. Throws an {@link OpError}. */
export function checkOperands<N extends OpName>(kernel: Kernel<N>, operands: Operands<N>): void {
  const rule = ruleOf(kernel.op);
  const spec = kernel.spec as Loose;
  const given = operands as Readonly<Record<string, Slice | undefined>>;
  for (const name of Object.keys(given)) {
    if (!(name in rule.operands)) {
      throw new OpError(
        `${kernel.op}: there is no operand "${name}"; there are ${Object.keys(rule.operands).join(", ")}`,
      );
    }
  }
  for (const [name, operand] of Object.entries(rule.operands)) {
    if (!operandIsUsed(operand.when, spec)) continue;
    const slice = given[name];
    if (!slice) throw new OpError(`${kernel.op}: operand "${name}" is missing`);
    const bytes = operandBytes(
      operand,
      spec as Readonly<Record<string, DType>>,
      spec as Readonly<Record<string, number>>,
    );
    if (!(slice.offset % 4 === 0 && slice.offset >= 0 && slice.offset + bytes <= slice.buffer.bytes)) {
      throw new OpError(
        `${kernel.op}: operand "${name}" needs ${bytes} bytes from byte ${slice.offset} (a multiple of 4) of a buffer of ${slice.buffer.bytes}`,
      );
    }
  }
}
