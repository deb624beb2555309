import { libraries } from "./kernels/lib/index.js";

/** The settings that a shader's text depends on. Numbers become `const`s (u32); `#if` can test all of them. */
export type Settings = Readonly<Record<string, number | string | boolean>>;

/** A group of operands that share one binding. */
export interface Group {
  /** The WGSL type of one element. */
  readonly type: string;
  readonly names: readonly string[];
  readonly written: boolean;
  /** If one binding is too small: the number of consecutive bindings, of `window` elements each. */
  readonly windows?: number;
  readonly window?: number;
}

interface ShaderParts {
  readonly text: string;
  readonly settings: Settings;
  readonly groups: readonly Group[];
  /** Names of the u32 in the uniform buffer, which precede the floats. */
  readonly uniforms: readonly string[];
  readonly floats: readonly string[];
}

/**
 * The WGSL of one dispatch. A line of a kernel's file may be a directive:
 *
 *     #if NAME, #if !NAME, #if NAME == value, #else, #endif
 *     #include file [NAME]     includes a file of lib/, once; ROWS in it stands for NAME
 *     #repeat i COUNT, #end    repeats the lines between COUNT times (a number, or a setting), with 0, 1, ... for {i}:
 *                              for values that must be in registers
 *
 * `$name[` indexes an operand from the start of its slice. Bindings and uniforms are declared here, so that operands in
 * one buffer can share a binding.
 */
export function shaderOf({ text, settings, groups, uniforms, floats }: ShaderParts): string {
  const body = substitute(expand(text, settings, new Set()), groups);
  const names = groups.flatMap((group) => group.names);
  return [
    ...(settings.SUBGROUP ? ["enable subgroups;"] : []),
    ...(settings.MATRIX
      ? [
          "enable f16;",
          "enable chromium_experimental_subgroup_matrix;",
          "diagnostic(off, chromium.subgroup_matrix_uniformity);",
        ]
      : []),
    ...Object.entries(settings).flatMap(([name, value]) =>
      typeof value === "number" ? [`const ${name} = ${value}u;`] : [],
    ),
    "struct Uniforms {",
    ...names.map((name) => `  ${name}_at: u32,`),
    ...uniforms.map((name) => `  ${name}: u32,`),
    ...floats.map((name) => `  ${name}: f32,`),
    "}",
    "@group(0) @binding(0) var<uniform> u: Uniforms;",
    ...declarations(groups),
    body,
  ].join("\n");
}

function declarations(groups: readonly Group[]): readonly string[] {
  let binding = 0;
  return groups.flatMap((group) => {
    const { type, names, written, windows = 1 } = group;
    const declare = (name: string) =>
      `@group(0) @binding(${++binding}) var<storage, ${written ? "read_write" : "read"}> ${name}: array<${type}>;`;
    if (windows === 1) return [declare(`${names[0]}_data`)];
    return [...Array.from({ length: windows }, (_, i) => declare(`${names[0]}_data${i}`)), windowed(group)];
  });
}

/** Functions that read or write an element in its window. */
function windowed({ type, names: [name], written, windows = 1, window = 0 }: Group): string {
  const choose = (use: (element: string) => string) => {
    const cases = Array.from({ length: windows }, (_, i) => {
      return `    ${i === windows - 1 ? "default" : `case ${i}u`}: { ${use(`${name}_data${i}[at - ${i * window}u]`)} }`;
    });
    return [`  switch at / ${window}u {`, ...cases, "  }"];
  };
  const read = [`fn ${name}_read(at: u32) -> ${type} {`, ...choose((element) => `return ${element};`), "}"];
  const write = [`fn ${name}_write(at: u32, x: ${type}) {`, ...choose((element) => `${element} = x;`), "}"];
  return [...read, ...(written ? write : [])].join("\n");
}

function substitute(text: string, groups: readonly Group[]): string {
  const groupOf = new Map(groups.flatMap((group) => group.names.map((name) => [name, group] as const)));
  let done = "";
  let rest = text;
  for (let found = rest.match(/\$(\w+)\[/); found; found = rest.match(/\$(\w+)\[/)) {
    const name = found[1]!;
    const group = groupOf.get(name);
    if (!group) throw new Error(`the kernel reads $${name}, which is not bound`);
    const start = found.index! + found[0].length;
    done += rest.slice(0, found.index);
    rest = rest.slice(start);
    if ((group.windows ?? 1) === 1) {
      done += `${group.names[0]}_data[u.${name}_at + `;
      continue;
    }
    const end = closing(rest);
    const at = `u.${name}_at + (${substitute(rest.slice(0, end), groups)})`;
    rest = rest.slice(end + 1);
    const assigned = rest.match(/^\s*=([^=][^;]*);/);
    done += assigned
      ? `${group.names[0]}_write(${at}, ${substitute(assigned[1]!, groups)});`
      : `${group.names[0]}_read(${at})`;
    if (assigned) rest = rest.slice(assigned[0].length);
  }
  return done + rest;
}

/** The index of the bracket that closes the one opened before `text`. */
function closing(text: string): number {
  let depth = 1;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "[") depth++;
    if (text[i] === "]" && --depth === 0) return i;
  }
  throw new Error("a bracket is not closed");
}

function expand(text: string, settings: Settings, included: Set<string>): string {
  const lines: string[] = [];
  /** Whether the condition of each open #if is true. */
  const open: boolean[] = [];
  const source = text.split("\n");
  for (let at = 0; at < source.length; at++) {
    const line = source[at]!;
    const [, directive, rest = ""] = line.match(directiveLine) ?? [];
    if (directive === "if") open.push(holds(rest, settings));
    else if (directive === "else") open.push(!open.pop());
    else if (directive === "endif") open.pop();
    else if (open.includes(false)) continue;
    else if (directive === "repeat") {
      const end = endOf(source, at);
      const [name = "", count = ""] = rest.split(" ");
      const body = source.slice(at + 1, end).join("\n");
      const times = Number(settings[count] ?? count);
      if (!Number.isSafeInteger(times)) throw new Error(`#repeat ${rest}: ${count} is neither a number nor a setting`);
      for (let i = 0; i < times; i++) lines.push(expand(body.replaceAll(`{${name}}`, String(i)), settings, included));
      at = end;
    } else if (directive === "include") {
      const [file = "", name = ""] = rest.split(" ");
      if (included.has(rest)) continue;
      included.add(rest);
      const library = libraries[file as keyof typeof libraries];
      if (library === undefined) throw new Error(`there is no lib/${file}.wgsl`);
      lines.push(expand(library.replaceAll("ROWS", name), settings, included));
    } else lines.push(line);
  }
  return lines.join("\n");
}

const directiveLine = /^\s*#(\w+)\s*(.*)$/;

/** The line of the #end of the #repeat in line `at`. */
function endOf(source: readonly string[], at: number): number {
  let depth = 0;
  for (let line = at; line < source.length; line++) {
    const directive = source[line]!.match(directiveLine)?.[1];
    if (directive === "repeat") depth++;
    else if (directive === "end" && --depth === 0) return line;
  }
  throw new Error(`the #repeat in line ${at + 1} has no #end`);
}

function holds(condition: string, settings: Settings): boolean {
  const [name = "", value] = condition.split(" == ");
  if (value !== undefined) return String(settings[name]) === value;
  return name.startsWith("!") ? !settings[name.slice(1)] : Boolean(settings[name]);
}
