import { libraries } from "./kernels/lib/index.js";

/** What a shader's text depends on. Numbers become `const`s (u32); all may be asked for by `#if`. */
export type Settings = Readonly<Record<string, number | string | boolean>>;

/** A group of operands that share one binding. */
export interface Group {
  /** WGSL type of one element. */
  readonly type: string;
  readonly names: readonly string[];
  readonly written: boolean;
}

export interface ShaderParts {
  readonly text: string;
  readonly settings: Settings;
  readonly groups: readonly Group[];
  /** Whole numbers of the uniform buffer, then floats. */
  readonly uniforms: readonly string[];
  readonly floats: readonly string[];
}

/**
 * The WGSL of one dispatch. A line of a kernel's file may be a directive:
 *
 *     #if NAME, #if !NAME, #if NAME == value, #else, #endif
 *     #include file [NAME]     a file of lib/, once; ROWS in it stands for NAME
 *
 * and `$name[` is the element of an operand, counted from where its slice starts: bindings and uniforms are declared here, so that operands of one buffer
 * can share a binding.
 */
export function shaderOf({ text, settings, groups, uniforms, floats }: ShaderParts): string {
  const body = substitute(expand(text, settings, new Set()), groups);
  const names = groups.flatMap((group) => group.names);
  return [
    ...(settings.SUBGROUP ? ["enable subgroups;"] : []),
    ...Object.entries(settings).flatMap(([name, value]) => (typeof value === "number" ? [`const ${name} = ${value}u;`] : [])),
    "struct Uniforms {",
    ...names.map((name) => `  ${name}_at: u32,`),
    ...uniforms.map((name) => `  ${name}: u32,`),
    ...floats.map((name) => `  ${name}: f32,`),
    "}",
    "@group(0) @binding(0) var<uniform> u: Uniforms;",
    ...groups.map(({ type, names, written }, index) => {
      const access = written ? "read_write" : "read";
      return `@group(0) @binding(${index + 1}) var<storage, ${access}> ${names[0]}_data: array<${type}>;`;
    }),
    body,
  ].join("\n");
}

function substitute(text: string, groups: readonly Group[]): string {
  const binding = new Map(groups.flatMap(({ names }) => names.map((name) => [name, `${names[0]}_data[u.${name}_at + `] as const)));
  return text.replace(/\$(\w+)\[/g, (_, name: string) => {
    const place = binding.get(name);
    if (place === undefined) throw new Error(`the kernel reads $${name}, which is not bound`);
    return place;
  });
}

function expand(text: string, settings: Settings, included: Set<string>): string {
  const lines: string[] = [];
  /** Whether each open #if holds. */
  const open: boolean[] = [];
  for (const line of text.split("\n")) {
    const [, directive, rest = ""] = line.match(/^\s*#(\w+)\s*(.*)$/) ?? [];
    if (directive === "if") open.push(holds(rest, settings));
    else if (directive === "else") open.push(!open.pop());
    else if (directive === "endif") open.pop();
    else if (open.includes(false)) continue;
    else if (directive === "include") {
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

function holds(condition: string, settings: Settings): boolean {
  const [name = "", value] = condition.split(" == ");
  if (value !== undefined) return String(settings[name]) === value;
  return name.startsWith("!") ? !settings[name.slice(1)] : Boolean(settings[name]);
}
