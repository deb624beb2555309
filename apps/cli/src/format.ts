// Numbers and tables as people read them.

/** Columns of the terminal: 100 if output goes elsewhere or the terminal says 0, and at least 60. */
export const terminalWidth = (): number => Math.max(60, process.stdout.columns || 100);

const unit = (value: number, units: readonly string[]): string => {
  let size = value;
  let at = 0;
  while (size >= 999.5 && at < units.length - 1) {
    size /= 1000;
    at++;
  }
  return `${at === 0 || size >= 99.95 ? Math.round(size) : size.toFixed(size >= 9.995 ? 1 : 2)} ${units[at]}`;
};

/** Bytes in powers of 1000: `1.06 MB`. */
export const bytes = (value: number): string => unit(value, ["B", "kB", "MB", "GB", "TB"]);

/** Tokens per second, short: `8.2`, `1234`; a dash if nothing was measured. */
export const rate = (value: number): string =>
  !Number.isFinite(value) || value <= 0 ? "-" : value >= 99.5 ? Math.round(value).toString() : value.toFixed(1);

export const seconds = (value: number): string =>
  value < 0.9995 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(value < 9.95 ? 2 : 1)} s`;

export const percent = (share: number): string => `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;

const blocks = "▁▂▃▄▅▆▇█";
const widest = 32;

/**
 * What a bar of full height stands for: twice the budget, which a pyramid just reaches; without a budget, the most rows
 * of a layer.
 */
export const barScale = ({
  keep,
  rowsPerLayer,
}: {
  readonly keep: number | null;
  readonly rowsPerLayer: readonly number[];
}): number => (keep === null ? Math.max(...rowsPerLayer) : 2 * keep);

/**
 * One character a layer, as high as its share of `most`; a layer with any rows shows at least the lowest. Of models
 * with more than 32 layers neighbours share a character, which shows their mean.
 */
export function bars(rows: readonly number[], most: number): string {
  const size = Math.ceil(rows.length / widest);
  const groups = Array.from({ length: Math.ceil(rows.length / size) }, (_, at) =>
    rows.slice(at * size, (at + 1) * size),
  );
  return groups
    .map((group) => group.reduce((a, b) => a + b, 0) / group.length)
    .map((mean) =>
      mean <= 0 || most <= 0
        ? " "
        : blocks[Math.min(blocks.length, Math.max(1, Math.round((blocks.length * mean) / most))) - 1]!,
    )
    .join("");
}

/** A text on one line, in quotes, cut to `width` columns. */
export function oneLine(text: string, width: number): string {
  const flat = text.replace(/\s+/g, " ").trim();
  const characters = [...flat];
  const room = Math.max(1, width - 2);
  return `"${characters.length > room ? `${characters.slice(0, room - 1).join("")}…` : flat}"`;
}

/** A text in lines of at most `width` columns, broken at spaces; a word that is longer stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

export interface Column {
  readonly title: string;
  /** Numbers stand right. */
  readonly right?: boolean;
}

/** Lines of a table, columns two spaces apart, without spaces at the ends of lines. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, at) =>
    Math.max(...[title, ...rows.map((row) => row[at]!)].map((cell) => [...cell].length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => {
        const space = " ".repeat(widths[at]! - [...cell].length);
        return columns[at]!.right ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}

/** JSON, indented, with lists of numbers on one line. */
export const json = (value: unknown): string =>
  `${JSON.stringify(value, undefined, 2).replace(/\[\n\s+([\d\s.,eE+-]+?)\n\s*\]/g, (_, numbers: string) => `[${numbers.replace(/\s+/g, " ")}]`)}\n`;
