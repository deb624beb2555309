import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blobs, FormatError, type ModelFiles, memoryFiles } from "@ziggurat/runtime";
import { folder } from "@ziggurat/runtime/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const content = new Uint8Array(1000).map((_, i) => i * 7);
let path = "";
beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), "ziggurat-"));
  await writeFile(join(path, "a.bin"), content);
});
afterAll(() => rm(path, { recursive: true }));

const kinds: [string, () => ModelFiles][] = [
  ["memoryFiles", () => memoryFiles({ "a.bin": content })],
  ["blobs", () => blobs({ "a.bin": new Blob([content]) })],
  ["folder", () => folder(path)],
];
describe.each(kinds)("%s", (_, make) => {
  it("reads parts", async () => {
    const file = (await make().open("a.bin"))!;
    expect(file.size).toBe(1000);
    expect(await file.read(990, 10)).toEqual(content.slice(990));
    expect((await file.read(1000, 0)).length).toBe(0);
    const own = await file.read(0, 4);
    own.fill(99);
    expect(await file.read(0, 4)).toEqual(content.slice(0, 4));
  });
  it("has no file of another name", async () => {
    expect(await make().open("b.bin")).toBeUndefined();
    expect(await make().open("constructor")).toBeUndefined();
  });
  it.each([
    [990, 11],
    [-1, 4],
    [0, -1],
    [0.5, 4],
    [0, Number.NaN],
  ])("refuses bytes %d, %d on", async (offset, length) => {
    const file = (await make().open("a.bin"))!;
    await expect(file.read(offset, length)).rejects.toThrow(FormatError);
  });
});

describe("folder", () => {
  it.each(["../a.bin", "/etc/hosts", "..", "", "x\\a.bin"])("does not leave the folder for %s", async (file) => {
    await expect(folder(path).open(file)).rejects.toThrow(/is not the name of a file in this folder/);
  });
  it("says so when a file shrinks while it is read", async () => {
    await writeFile(join(path, "b.bin"), content);
    const file = (await folder(path).open("b.bin"))!;
    await truncate(join(path, "b.bin"), 10);
    await expect(file.read(0, 1000)).rejects.toThrow(/ended at byte 10; it had 1000/);
  });
});
