import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DownloadError, openModel } from "@ziggurat/runtime";
import { type HubOptions, hub } from "@ziggurat/runtime/node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkpoint } from "./support/checkpoint.js";
import { commit, HubServer } from "./support/hub-server.js";

const bytesOf = async (file: string, of = checkpoint()) => {
  const source = (await of.files.open(file))!;
  return source.read(0, source.size);
};

/** A checkpoint whose weights are much larger than their header. */
const wide = checkpoint({ feedForward: 4096 });
const large = async () => bytesOf("model.safetensors", wide);

let server: HubServer;
let cache: string;
const open = (options: HubOptions = {}) => hub("owner/tiny", { url: server.url, cache, ...options });

beforeEach(async () => {
  server = new HubServer();
  server.files.set("config.json", await bytesOf("config.json"));
  server.files.set("model.safetensors", await bytesOf("model.safetensors"));
  cache = await mkdtemp(join(tmpdir(), "ziggurat-hub-"));
  await server.start();
});
afterEach(async () => {
  await server.stop();
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
    const size = server.files.get("model.safetensors")!.length;
    expect(told.at(-1)).toEqual(["model.safetensors", size, size]);
    expect(await files.open("tokenizer.json")).toBeUndefined();

    await server.stop();
    const again = await (await openModel(open())).weights();
    expect(await again.tensor("model.norm.weight").read()).toEqual(norm);
    await server.start();
  });

  it("keeps to the commit that it found, and shares one download", async () => {
    const files = open();
    const [one, two] = await Promise.all([files.open("model.safetensors"), files.open("model.safetensors")]);
    expect(one!.size).toBe(two!.size);
    const resolved = server.requests.filter((request) => request.includes("/resolve/"));
    expect(resolved.every((request) => request.includes(commit))).toBe(true);
    // One to learn the size, one for the bytes.
    expect(resolved.length).toBe(2);
  });

  it("goes on where a download stopped", async () => {
    const file = Uint8Array.from({ length: 20 * 2 ** 20 }, (_, i) => (i * 2654435761) >>> 24);
    server.files.set("model.safetensors", file);
    let asked = 0;
    server.trouble = (path, response) => {
      if (!path.includes("/resolve/") || ++asked < 3) return false;
      response.destroy();
      return true;
    };
    await expect(open().open("model.safetensors")).rejects.toThrow(DownloadError);
    expect((await readdir(join(cache, "owner--tiny", commit))).sort()).toEqual(["model.safetensors.part"]);
    server.requests = [];
    server.trouble = () => false;
    const source = (await open().open("model.safetensors"))!;
    expect(
      server.requests.filter((request) => request.includes("bytes=0-")).map((request) => request.split("=")[1]),
    ).toEqual(["0-0"]);
    expect(Buffer.compare(await source.read(0, source.size), file)).toBe(0);
  });

  it("refuses what is not what the hub listed", async () => {
    const files = open();
    await files.list!();
    const damaged = server.files.get("model.safetensors")!.slice();
    damaged[999]! ^= 1;
    server.files.set("model.safetensors", damaged);
    await expect(files.open("model.safetensors")).rejects.toThrow(
      /owner\/tiny\/model\.safetensors: what came has the SHA-256 \w+; it should have/,
    );
    server.files.set("model.safetensors", damaged.slice(1));
    await expect(files.open("model.safetensors")).rejects.toThrow(/the hub has \d+ bytes; it listed \d+/);
    expect(await readdir(join(cache, "owner--tiny", commit))).toEqual([]);
  });

  it.each([
    [401, /owner\/tiny: revision "main": http.* refuses it: it is gated, private or not there; give a token/],
    [403, /refuses it/],
    [404, /has no such repository or revision/],
    [500, /owner\/tiny: revision "main": /],
  ])("says what is wrong where the hub answers %d", async (status, message) => {
    server.trouble = (_, response) => {
      response.writeHead(status).end("{}");
      return true;
    };
    const opened = openModel(open());
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(DownloadError);
  });

  it("says that there is no network", async () => {
    await server.stop();
    await expect(open().open("config.json")).rejects.toThrow(
      /127\.0\.0\.1:\d+ cannot be reached \(.*\), and it was not downloaded before/,
    );
    await server.start();
  });

  it("looks anew where what it kept is damaged", async () => {
    await open().list!();
    const kept = join(cache, "owner--tiny", "main.json");
    expect(JSON.parse(await readFile(kept, "utf8"))).toMatchObject({ commit });
    await writeFile(kept, '{"commit":"../..","files":[]}');
    expect(await open().list!()).toEqual(["config.json", "model.safetensors"]);
  });

  it("reads headers of weights in place, where it is asked for no more", async () => {
    server.files.set("config.json", await bytesOf("config.json", wide));
    server.files.set("model.safetensors", await large());
    const opened = await openModel(open({ inPlace: true }));
    const weights = await opened.weights();
    expect(opened.weightBytes(weights, undefined)).toBeGreaterThan(0);
    expect(server.sent).toBeLessThan(20_000);
    expect((await readdir(join(cache, "owner--tiny", commit))).sort()).toEqual(["config.json"]);
    const offline = open({ inPlace: true });
    await (await open().open("model.safetensors"))!.read(0, 8);
    await server.stop();
    await (await openModel(offline)).weights();
    await server.start();
  });

  it("takes revision and file from the name", async () => {
    server.files.set("a.gguf", Uint8Array.of(1));
    server.files.set("b.gguf", Uint8Array.of(2));
    const options = { url: server.url, cache };
    const only = hub("owner/tiny/b.gguf@refs/pr/1", options);
    expect(await only.list!()).toEqual(["b.gguf"]);
    expect(await (await only.open("b.gguf"))!.read(0, 1)).toEqual(Uint8Array.of(2));
    expect(await only.open("config.json")).toBeUndefined();
    expect(server.requests[0]).toBe("/api/models/owner/tiny/revision/refs%2Fpr%2F1");
    server.files.delete("config.json");
    await expect(openModel(hub("owner/tiny@v2", options))).rejects.toThrow(
      /owner\/tiny: has no config\.json and 2 models.*a\.gguf, b\.gguf/,
    );
  });

  it("finds a file in a folder of the repository, with its parts beside it", async () => {
    for (const [at, name] of ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "other.gguf"].entries())
      server.files.set(`Q4/${name}`, Uint8Array.of(at));
    const options = { url: server.url, cache };
    for (const inPlace of [true, false]) {
      const files = hub("owner/tiny/Q4/m-00001-of-00002.gguf", { ...options, inPlace });
      expect(await files.list!()).toEqual(["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]);
      expect(await (await files.open("m-00002-of-00002.gguf"))!.read(0, 1)).toEqual(Uint8Array.of(1));
      expect(await files.open("other.gguf")).toBeUndefined();
    }
    expect(await readdir(join(cache, "owner--tiny", commit, "Q4"))).toEqual(["m-00002-of-00002.gguf"]);
    // The root has a list of its own.
    expect(await hub("owner/tiny", options).list!()).toEqual(["config.json", "model.safetensors"]);
    expect(() => hub("owner/tiny/../m.gguf", options)).toThrow(DownloadError);
  });

  // Whatever is written to /dev/full finds a full disk.
  it("says that the disk is full, and leaves nothing that would pass for a model", async (context) => {
    if (!existsSync("/dev/full")) context.skip("this system has no /dev/full");
    const at = join(cache, "owner--tiny", commit);
    await mkdir(at, { recursive: true });
    await symlink("/dev/full", join(at, "model.safetensors.part"));
    const files = open();
    await expect(files.open("model.safetensors")).rejects.toThrow(
      /owner\/tiny: model\.safetensors: the disk is full; what has arrived stays/,
    );
    await expect(files.open("model.safetensors")).rejects.toThrow(DownloadError);
    expect(await readdir(at)).toEqual(["model.safetensors.part"]);
    await rm(join(at, "model.safetensors.part"));
    const source = (await files.open("model.safetensors"))!;
    expect(await source.read(0, source.size)).toEqual(await bytesOf("model.safetensors"));
    await symlink("/dev/full", join(cache, "owner--tiny", "other.json.part"));
    await expect(open({ revision: "other" }).list!()).rejects.toThrow(/its list of files: the disk is full/);
  });

  it("asks again for what a cut connection left out, in the same download", async () => {
    const file = await large();
    server.files.set("model.safetensors", file);
    let times = 0;
    server.trouble = (path, response, request) => {
      const [, from = "0", to = String(file.length - 1)] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      if (!path.endsWith("model.safetensors") || Number(to) === 0 || ++times > 3) return false;
      // A third of what was asked for, then the end.
      const part = file.subarray(Number(from), Number(to) + 1);
      response.writeHead(206, { "content-range": `bytes ${from}-${to}/${file.length}`, "content-length": part.length });
      response.write(part.subarray(0, Math.floor(part.length / 3)), () => response.destroy());
      return true;
    };
    const source = (await open().open("model.safetensors"))!;
    expect(Buffer.compare(await source.read(0, source.size), file)).toBe(0);
    expect(times).toBe(4);
  });

  it.each(["", "a/b/c", "../x", "a/..", "owner name"])("refuses the name %j", (name) => {
    expect(() => hub(name)).toThrow(DownloadError);
  });
});
