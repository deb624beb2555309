// A command is words: the op's number and its length, then its arguments in the order of the catalogue: dims, options,
// dtypes (by number), attributes (numbers as two words of f64, booleans 0 or 1, kinds by number), operands (addresses;
// 0 for one that is left out). `src/encode.ts` writes them in this order; here the kernels get a reader for each.

const dtypes = ["f32", "f16", "bf16", "i32", "q8_0", "q4_0", "q4_1"];
const kebab = (name) => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
const capital = (name) => name[0].toUpperCase() + name.slice(1);

/** The AssemblyScript source of assembly/lib/arguments.ts. */
export function argumentsSource(catalogue) {
  const lines = [
    "// Made by scripts/arguments.mjs from the catalogue of @ziggurat/tensor: each kernel's arguments. Do not edit.",
    "",
    "export enum DType {",
    ...dtypes.map((name) => `  ${name.toUpperCase()},`),
    "}",
    "",
    "export enum Op {",
    ...Object.keys(catalogue).map((name) => `  ${name},`),
    "  zero,",
    "  move,",
    "  inline,",
    "  scratch,",
    "  replay,",
    "}",
  ];
  for (const [name, rule] of Object.entries(catalogue)) {
    lines.push("", `/** ${kebab(name)} */`, `export namespace ${capital(name)} {`);
    let word = 1;
    const reader = (argument, type, expression) =>
      lines.push(
        "  // @ts-ignore: decorator",
        "  @inline",
        `  export function ${argument}(a: usize): ${type} { return ${expression}; }`,
      );
    const integer = (argument) => reader(argument, "i32", `load<i32>(a, ${4 * word++})`);
    for (const dim of [...rule.dims, ...(rule.options ?? []), ...Object.keys(rule.dtypes)]) integer(dim);
    for (const [attribute, kind] of Object.entries(rule.attributes)) {
      if (kind === "number") {
        reader(attribute, "f64", `load<f64>(a, ${4 * word})`);
        word += 2;
      } else if (kind === "boolean") {
        reader(attribute, "bool", `load<i32>(a, ${4 * word++}) != 0`);
      } else {
        integer(attribute);
      }
    }
    for (const operand of Object.keys(rule.operands)) {
      const clash = rule.dims.includes(operand) || operand in rule.dtypes || operand in rule.attributes;
      reader(clash ? `${operand}At` : operand, "usize", `<usize>load<u32>(a, ${4 * word++})`);
    }
    lines.push("}");
    for (const [attribute, kind] of Object.entries(rule.attributes)) {
      if (Array.isArray(kind)) {
        lines.push("", `export enum ${capital(name)}${capital(attribute)} {`, ...kind.map((k) => `  ${k},`), "}");
      }
    }
  }
  return `${lines.join("\n")}\n`;
}

/** The AssemblyScript source of assembly/commands.ts: which kernel runs a command. */
export function commandsSource(catalogue) {
  const ops = Object.keys(catalogue);
  return [
    "// Made by scripts/arguments.mjs from the catalogue of @ziggurat/tensor. Do not edit.",
    "",
    'import { Op } from "./lib/arguments";',
    ...ops.map((name) => `import { ${name} as ${name}Kernel } from "./${kebab(name)}";`),
    "",
    "/** Runs the op of the command at `a`. */",
    "// @ts-ignore: decorator",
    "@inline",
    "export function runOp(op: i32, a: usize): void {",
    "  switch (op) {",
    ...ops.map((name) => `    case Op.${name}: return ${name}Kernel(a);`),
    "    default: unreachable();",
    "  }",
    "}",
    "",
  ].join("\n");
}
