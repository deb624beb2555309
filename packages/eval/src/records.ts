import { type FileHandle, open, readFile, truncate } from "node:fs/promises";
import { EvaluationError } from "./error.js";

/** What one policy made of one item. */
export interface ItemRecord {
  readonly kind: "item";
  readonly cell: string;
  /** From 0 on. */
  readonly item: number;
  /** From 0 to 1; the mean log-probability of a continuation for texts. */
  readonly score: number;
  readonly answer: string;
  readonly expected: readonly string[];
  readonly promptTokens: number;
  /** Rows after the prompt, [layer][KV head]. */
  readonly rows: readonly (readonly number[])[];
  /** Bytes of rows with their metadata, and of tables, after the prompt. */
  readonly bytes: number;
  /** Rows that the policy evicted; 0 if it was inactive. */
  readonly evicted: number;
  /** Numbers that the task says of the item, as a needle's `depth` from 0 to 1: what reports group by. */
  readonly facts?: Readonly<Record<string, number>>;
}

/** The first line of a record file: which plan it belongs to. */
export interface RecordHeader {
  readonly kind: "header";
  readonly version: 1;
  /** SHA-256 of the plan and its provenance. */
  readonly plan: string;
  /** The plan, cells and provenance as they were run, so that a report needs no other file. */
  readonly content: unknown;
}

export type RecordLine = RecordHeader | ItemRecord;

/** Items of a record file, by `cell item`. The last one of a pair counts. */
export interface RecordFile {
  readonly header: RecordHeader;
  readonly items: ReadonlyMap<string, ItemRecord>;
}

export const itemKey = ({ cell, item }: Pick<ItemRecord, "cell" | "item">): string => `${cell} ${item}`;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parseLine(path: string, line: string, number: number): RecordLine {
  const fail = (what: string): never => {
    throw new EvaluationError(`${path}: line ${number} ${what}`);
  };
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return fail("is not JSON");
  }
  if (!isObject(value)) return fail("is no object");
  const header = value as Partial<RecordHeader>;
  if (value.kind === "header") {
    if (header.version !== 1) return fail(`has version ${String(header.version)}; this reads version 1`);
    if (typeof header.plan !== "string") return fail("has no plan");
    return value as unknown as RecordHeader;
  }
  if (value.kind !== "item") return fail(`has kind ${JSON.stringify(value.kind)}; it must be "header" or "item"`);
  const { cell, item, score, answer, expected, promptTokens, rows, bytes, evicted } = value as Partial<ItemRecord>;
  const { facts = {} } = value as Partial<ItemRecord>;
  const count = (x: unknown) => Number.isSafeInteger(x) && (x as number) >= 0;
  const faults: readonly (readonly [string, boolean])[] = [
    ["cell", typeof cell === "string"],
    ["item", count(item)],
    ["score", typeof score === "number" && Number.isFinite(score)],
    ["answer", typeof answer === "string"],
    ["expected", Array.isArray(expected) && expected.every((text) => typeof text === "string")],
    ["promptTokens", count(promptTokens)],
    ["rows", Array.isArray(rows) && rows.every((heads) => Array.isArray(heads) && heads.every(count))],
    ["bytes", count(bytes)],
    ["evicted", count(evicted)],
    ["facts", isObject(facts) && Object.values(facts).every((fact) => Number.isFinite(fact))],
  ];
  const wrong = faults.find(([, right]) => !right);
  if (wrong) return fail(`has ${wrong[0]} ${JSON.stringify(value[wrong[0]])}, which an item cannot have`);
  return value as unknown as ItemRecord;
}

/**
 * Reads a record file. A last line without its end, as a killed run leaves it, does not count. Throws an
 * `EvaluationError` that names the file and the line if another line is damaged.
 */
export async function readRecords(path: string): Promise<RecordFile> {
  const { header, items } = parseRecords(path, await readFile(path, "utf8"));
  if (!header) throw new EvaluationError(`${path} is empty; a record file begins with a header`);
  return { header, items };
}

function parseRecords(path: string, text: string) {
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  lines.pop();
  const items = new Map<string, ItemRecord>();
  let header: RecordHeader | undefined;
  lines.forEach((line, index) => {
    const record = parseLine(path, line, index + 1);
    if ((record.kind === "header") !== (index === 0)) {
      throw new EvaluationError(
        `${path}: line ${index + 1} is ${record.kind === "header" ? "a second header" : "no header"}`,
      );
    }
    if (record.kind === "header") header = record;
    else items.set(itemKey(record), record);
  });
  return { header, items };
}

/** A record file that a run appends to. Every line is on the disk before `append` resolves. */
export class RecordWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  /** Items that the file held when it was opened. */
  readonly items: ReadonlyMap<string, ItemRecord>;

  private constructor(path: string, file: FileHandle, items: ReadonlyMap<string, ItemRecord>) {
    this.#path = path;
    this.#file = file;
    this.items = items;
  }

  /**
   * Opens a record file, or begins one. Cuts off a last line without its end. Throws an `EvaluationError` if the file
   * belongs to another plan.
   */
  static async open(path: string, header: RecordHeader): Promise<RecordWriter> {
    const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return Buffer.alloc(0);
      throw error;
    });
    const whole = bytes.lastIndexOf(0x0a) + 1;
    const known = parseRecords(path, bytes.subarray(0, whole).toString("utf8"));
    if (known.header && known.header.plan !== header.plan) {
      throw new EvaluationError(
        `${path} holds records of plan ${known.header.plan.slice(0, 16)}, not ${header.plan.slice(0, 16)}; ` +
          "name another file, or run the plan that it belongs to",
      );
    }
    if (whole < bytes.length) await truncate(path, whole);
    const writer = new RecordWriter(path, await open(path, "a"), known.items);
    if (!known.header) await writer.#write(header);
    return writer;
  }

  async append(record: ItemRecord): Promise<void> {
    await this.#write(record);
  }

  async #write(line: RecordLine): Promise<void> {
    try {
      await this.#file.appendFile(`${JSON.stringify(line)}\n`);
      await this.#file.datasync();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new EvaluationError(
        `${this.#path}: a record could not be written: ${reason}. What was written before is kept`,
        {
          cause: error,
        },
      );
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
