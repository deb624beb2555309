import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EvaluationError } from "../src/error.js";
import { type ItemRecord, type RecordHeader, RecordWriter, readRecords } from "../src/records.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ziggurat-records-"));
});
afterAll(() => rm(folder, { recursive: true }));

const header: RecordHeader = { kind: "header", version: 1, plan: "ab12", content: { cells: [] } };
const item = (index: number, more: Partial<ItemRecord> = {}): ItemRecord => ({
  ...{ kind: "item", cell: "c", item: index, score: 1, answer: "a\nb", expected: ["x"], promptTokens: 9 },
  ...{ rows: [[1, 2]], bytes: 10, evicted: 0 },
  ...more,
});

test("a killed run continues after the last whole line", async () => {
  const path = join(folder, "resume.jsonl");
  const first = await RecordWriter.open(path, header);
  await first.append(item(0));
  await first.append(item(1));
  await first.close();
  await appendFile(path, '{"kind":"item","cell":"c","it');
  const second = await RecordWriter.open(path, header);
  expect([...second.items.keys()]).toEqual(["c 0", "c 1"]);
  await second.append(item(2));
  await second.close();
  const { header: read, items } = await readRecords(path);
  expect(read).toEqual(header);
  expect([...items.values()]).toEqual([item(0), item(1), item(2)]);
  expect((await readFile(path, "utf8")).split("\n")).toHaveLength(5);
});

test("a cut within a character is cut off as well", async () => {
  const path = join(folder, "utf8.jsonl");
  const writer = await RecordWriter.open(path, header);
  await writer.append(item(0, { answer: "é" }));
  await writer.close();
  const bytes = await readFile(path);
  await writeFile(path, Buffer.concat([bytes, bytes.subarray(bytes.indexOf("é") - 3, bytes.indexOf("é") + 1)]));
  const again = await RecordWriter.open(path, header);
  await again.append(item(1));
  await again.close();
  expect((await readRecords(path)).items.size).toBe(2);
});

test.each([
  ["another plan", `${JSON.stringify({ ...header, plan: "cd34" })}\n`, /holds records of plan cd34, not ab12/],
  ["a line that is not JSON", `${JSON.stringify(header)}\n{\n`, /line 2 is not JSON/],
  [
    "a score that is no number",
    `${JSON.stringify(header)}\n${JSON.stringify({ ...item(0), score: "1" })}\n`,
    /line 2 has score "1"/,
  ],
  ["a second header", `${JSON.stringify(header)}\n${JSON.stringify(header)}\n`, /line 2 is a second header/],
  ["no header", `${JSON.stringify(item(0))}\n`, /line 1 is no header/],
  ["another version", `${JSON.stringify({ ...header, version: 2 })}\n`, /line 1 has version 2; this reads version 1/],
])("%s is refused by name", async (name, text, message) => {
  const path = join(folder, `${name.replaceAll(" ", "-")}.jsonl`);
  await writeFile(path, text);
  await expect(RecordWriter.open(path, header)).rejects.toThrow(message);
  await expect(RecordWriter.open(path, header)).rejects.toThrow(EvaluationError);
  expect(await readFile(path, "utf8")).toBe(text);
});

test("an empty file has no records to read", async () => {
  const path = join(folder, "empty.jsonl");
  await writeFile(path, "");
  await expect(readRecords(path)).rejects.toThrow(/is empty; a record file begins with a header/);
});
