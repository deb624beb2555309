import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DownloadError, openModel } from "@ziggurat/runtime";
import { type HubOptions, hub } from "@ziggurat/runtime/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkpoint } from "./support/checkpoint.js";

const commit = "0123456789abcdef0123456789abcdef01234567";
const bytesOf = async (file: string) => {
  const source = (await checkpoint().files.open(file))!;
  return source.read(0, source.size);
};

/** A hub on this machine: the repository's facts, its files, and ranges of them. */
const repository = new Map<string, Uint8Array>();
let requests: string[] = [];
/** What goes wrong with a request; gives whether it did. */
let trouble: (path: string, response: ServerResponse) => boolean = () => false;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(request.url!, "http://hub");
  requests.push(`${pathname} ${request.headers.range ?? ""}`.trim());
  if (trouble(pathname, response)) return;
  const json = (value: unknown) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
  if (pathname.startsWith("/api/models/owner/tiny/revision/")) {
    json({ _id: "1", id: "owner/tiny", sha: commit, private: false, gated: false, downloads: 0, likes: 0, lastModified: "2025-01-01T00:00:00.000Z" });
  } else if (pathname === `/api/models/owner/tiny/tree/${commit}`) {
    const files = [...repository].map(([path, bytes]) => {
      const oid = createHash("sha256").update(bytes).digest("hex");
      return {
        type: "file",
        path,
        size: bytes.length,
        oid: "1",
        ...(path.endsWith(".safetensors") ? { lfs: { oid, size: bytes.length, pointerSize: 1 } } : {}),
      };
    });
    json([...files, { type: "directory", path: "onnx", size: 0, oid: "2" }, { type: "file", path: "../evil.json", size: 1, oid: "3" }]);
  } else {
    const file = repository.get(pathname.replace(`/owner/tiny/resolve/${commit}/`, ""));
    if (!file) return void response.writeHead(404, { "x-error-code": "RepoNotFound" }).end();
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? ["", "0", String(file.length - 1)];
    const part = file.subarray(Number(from), Number(to) + 1);
    response.writeHead(206, {
      etag: '"1"',
      "content-range": `bytes ${from}-${Number(from) + part.length - 1}/${file.length}`,
      "content-length": part.length,
    });
    response.end(part);
  }
}

const server = createServer(answer);
let cache: string;
let url: string;
const open = (options: HubOptions = {}) => hub("owner/tiny", { url, cache, ...options });

beforeEach(async () => {
  repository.clear();
  repository.set("config.json", await bytesOf("config.json"));
  repository.set("model.safetensors", await bytesOf("model.safetensors"));
  requests = [];
  trouble = () => false;
  cache = await mkdtemp(join(tmpdir(), "ziggurat-hub-"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cache, { recursive: true });
});

describe("hub", () => {
  it("downloads what is opened, once, and needs no network afterwards", async () => {
    const told: [string, number, number][] = [];
    const files = open({ onProgress: (...progress) => void told.push(progress) });
    expect(await files.list!()).toEqual(["config.json", "model.safetensors"]);
    const weights = await (await openModel(files)).weights();
    const norm = await weights.tensor("model.norm.weight").read();
    expect(norm.length).toBeGreaterThan(0);
    const size = repository.get("model.safetensors")!.length;
    expect(told.at(-1)).toEqual(["model.safetensors", size, size]);
    expect(await files.open("tokenizer.json")).toBeUndefined();

    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const again = await (await openModel(open())).weights();
    expect(await again.tensor("model.norm.weight").read()).toEqual(norm);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  it("keeps to the commit that it found, and shares one download", async () => {
    const files = open();
    const [one, two] = await Promise.all([files.open("model.safetensors"), files.open("model.safetensors")]);
    expect(one!.size).toBe(two!.size);
    const resolved = requests.filter((request) => request.includes("/resolve/"));
    expect(resolved.every((request) => request.includes(commit))).toBe(true);
    // One to learn the size, one for the bytes.
    expect(resolved.length).toBe(2);
  });

  it("goes on where a download stopped", async () => {
    const file = Uint8Array.from({ length: 20 * 2 ** 20 }, (_, i) => (i * 2654435761) >>> 24);
    repository.set("model.safetensors", file);
    let asked = 0;
    trouble = (path, response) => {
      if (!path.includes("/resolve/") || ++asked !== 3) return false;
      response.destroy();
      return true;
    };
    await expect(open().open("model.safetensors")).rejects.toThrow(DownloadError);
    expect((await readdir(join(cache, "owner--tiny", commit))).sort()).toEqual(["model.safetensors.part"]);
    requests = [];
    const source = (await open().open("model.safetensors"))!;
    expect(requests.filter((request) => request.includes("bytes=0-")).map((request) => request.split("=")[1])).toEqual(["0-0"]);
    expect(Buffer.compare(await source.read(0, source.size), file)).toBe(0);
  });

  it("refuses what is not what the hub listed", async () => {
    const files = open();
    await files.list!();
    const damaged = repository.get("model.safetensors")!.slice();
    damaged[999]! ^= 1;
    repository.set("model.safetensors", damaged);
    await expect(files.open("model.safetensors")).rejects.toThrow(/owner\/tiny\/model\.safetensors: what came has the SHA-256 \w+; it should have/);
    repository.set("model.safetensors", damaged.slice(1));
    await expect(files.open("model.safetensors")).rejects.toThrow(/the hub has \d+ bytes; it listed \d+/);
    expect(await readdir(join(cache, "owner--tiny", commit))).toEqual([]);
  });

  it.each([
    [401, /owner\/tiny: revision "main": http.* refuses it: it is gated, private or not there; give a token/],
    [403, /refuses it/],
    [404, /has no such repository or revision/],
    [500, /owner\/tiny: revision "main": /],
  ])("says what is wrong where the hub answers %d", async (status, message) => {
    trouble = (_, response) => {
      response.writeHead(status).end("{}");
      return true;
    };
    const opened = openModel(open());
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(DownloadError);
  });

  it("says that there is no network", async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await expect(open().open("config.json")).rejects.toThrow(/127\.0\.0\.1:\d+ cannot be reached \(.*\), and it was not downloaded before/);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  it("looks anew where what it kept is damaged", async () => {
    await open().list!();
    const kept = join(cache, "owner--tiny", "main.json");
    expect(JSON.parse(await readFile(kept, "utf8"))).toMatchObject({ commit });
    await writeFile(kept, '{"commit":"../..","files":[]}');
    expect(await open().list!()).toEqual(["config.json", "model.safetensors"]);
  });

  it.each(["", "a/b/c", "../x", "a/..", "owner name"])("refuses the name %j", (name) => {
    expect(() => hub(name)).toThrow(DownloadError);
  });
});
