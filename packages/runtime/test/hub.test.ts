import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkpoint, commit, HubServer } from "@ziggurat/bench-kit/fixtures";
import { DownloadError, openModel, remote } from "@ziggurat/runtime";
import { type HubOptions, hub } from "@ziggurat/runtime/node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { explained } from "../src/files/hub-repository.js";

const bytesOf = async (file: string, of = checkpoint()) => {
  const source = (await of.files.open(file))!;
  return source.read(0, source.size);
};

/** A checkpoint whose weights are much larger than their header. */
const wide = checkpoint({ feedForward: 4096 });
const large = async () => bytesOf("model.safetensors", wide);

let server: HubServer;
let cache: string;
/** The folder that the repository is kept in. */
let kept: string;
const open = (options: HubOptions = {}) => hub("owner/tiny", { url: server.url, cache, ...options });

beforeEach(async () => {
  server = new HubServer();
  server.files.set("config.json", await bytesOf("config.json"));
  server.files.set("model.safetensors", await bytesOf("model.safetensors"));
  cache = await mkdtemp(join(tmpdir(), "ziggurat-hub-"));
  await server.start();
  kept = join(cache, server.url.replace("http://", "http%3a%2f%2f").replace(/:(\d+)$/, "%3a$1"), "owner+tiny");
});
afterEach(async () => {
  await server.stop();
  await rm(cache, { recursive: true });
});

describe("hub", () => {
  it("downloads what is opened, once, and needs no network afterwards", async () => {
    const progress: [string, number, number][] = [];
    const files = open({ onProgress: (...args) => void progress.push(args) });
    expect(await files.list!()).toEqual(["config.json", "model.safetensors"]);
    const weights = await (await openModel(files)).weights();
    const norm = await weights.tensor("model.norm.weight").read();
    expect(norm.length).toBeGreaterThan(0);
    const size = server.files.get("model.safetensors")!.length;
    expect(progress.at(-1)).toEqual(["model.safetensors", size, size]);
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
    expect((await readdir(join(kept, commit))).sort()).toEqual(["model.safetensors~part"]);
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
    expect(await readdir(join(kept, commit))).toEqual([]);
  });

  it.each([
    [401, /owner\/tiny: revision "main": http.* refuses it: it is gated, private or not there; give a token/],
    [403, /refuses it/],
    [404, /has no such repository or revision/],
    [500, /owner\/tiny: revision "main": /],
  ])("says what is wrong if the hub answers %d", async (status, message) => {
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

  it("looks again if the listing that it kept is damaged", async () => {
    await open().list!();
    const listing = join(kept, "main.json");
    expect(JSON.parse(await readFile(listing, "utf8"))).toMatchObject({ commit });
    await writeFile(listing, '{"commit":"../..","files":[]}');
    expect(await open().list!()).toEqual(["config.json", "model.safetensors"]);
  });

  it("reads headers of weights in place, if asked to", async () => {
    server.files.set("config.json", await bytesOf("config.json", wide));
    server.files.set("model.safetensors", await large());
    const opened = await openModel(open({ inPlace: true }));
    const weights = await opened.weights();
    expect(opened.weightBytes(weights, undefined)).toBeGreaterThan(0);
    expect(server.sent).toBeLessThan(20_000);
    expect((await readdir(join(kept, commit))).sort()).toEqual(["config.json"]);
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
    expect(await readdir(join(kept, commit, "Q4"))).toEqual(["m-00002-of-00002.gguf"]);
    // The root has another list.
    expect(await hub("owner/tiny", options).list!()).toEqual(["config.json", "model.safetensors"]);
    expect(() => hub("owner/tiny/../m.gguf", options)).toThrow(DownloadError);
  });

  // Whatever is written to /dev/full finds a full disk.
  it("says that the disk is full, and leaves nothing that would pass for a model", async (context) => {
    if (!existsSync("/dev/full")) context.skip("this system has no /dev/full");
    const at = join(kept, commit);
    await mkdir(at, { recursive: true });
    await symlink("/dev/full", join(at, "model.safetensors~part"));
    const files = open();
    await expect(files.open("model.safetensors")).rejects.toThrow(
      /owner\/tiny: model\.safetensors: the disk is full; what has arrived stays/,
    );
    await expect(files.open("model.safetensors")).rejects.toThrow(DownloadError);
    expect(await readdir(at)).toEqual(["model.safetensors~part"]);
    await rm(join(at, "model.safetensors~part"));
    const source = (await files.open("model.safetensors"))!;
    expect(await source.read(0, source.size)).toEqual(await bytesOf("model.safetensors"));
    const full = explained(Object.assign(new Error(), { code: "ENOSPC" }), "owner/tiny", "its list of files", {
      hubUrl: server.url,
    });
    expect(full.message).toMatch(/its list of files: the disk is full/);
    await writeFile(join(cache, "file"), "");
    await expect(open({ cache: join(cache, "file") }).list!()).rejects.toThrow(
      /owner\/tiny: its list of files: ENOTDIR/,
    );
  });

  it("asks again for what a cut connection left out, within one download", async () => {
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

  describe("several first loads at once", () => {
    const file = Uint8Array.from({ length: 20 * 2 ** 20 }, (_, i) => (i * 2654435761) >>> 24);
    const right = async (files: ReturnType<typeof hub>) => {
      const source = (await files.open("model.safetensors"))!;
      expect(Buffer.compare(await source.read(0, source.size), file)).toBe(0);
    };
    const left = async () => (await readdir(join(kept, commit))).sort();

    it("of one process share one download", async () => {
      server.files.set("model.safetensors", file);
      await Promise.all(Array.from({ length: 4 }, () => right(open())));
      expect(server.requests.filter((request) => request.includes("/revision/")).length).toBe(1);
      // One to learn the size, three for the bytes.
      expect(server.requests.filter((request) => request.includes("/resolve/")).length).toBe(4);
      expect(await left()).toEqual(["model.safetensors"]);
    });

    // A second copy of the module shares nothing with the first but the disk, as another process does.
    it("of several processes all succeed", async () => {
      server.files.set("model.safetensors", file);
      const copies = [];
      for (let i = 0; i < 3; i++) {
        vi.resetModules();
        copies.push(((await import("../src/files/hub.js")) as typeof import("../src/files/hub.js")).hub);
      }
      await Promise.all(copies.map((copy) => right(copy("owner/tiny", { url: server.url, cache }))));
      expect(await left()).toEqual(["model.safetensors"]);
      expect((await readdir(kept)).sort()).toEqual([commit, "main.json"].sort());
    });

    it("do not end with the one that is aborted or fails", async () => {
      server.files.set("model.safetensors", file);
      const controller = new AbortController();
      const first = open({ signal: controller.signal, onProgress: () => controller.abort(new Error("enough")) });
      await first.list!();
      const one = first.open("model.safetensors");
      const other = right(open());
      await expect(one).rejects.toThrow("enough");
      await other;
      // One that waits for another's download is aborted, while that goes on.
      server.files.set("other.gguf", file);
      const waiting = new AbortController();
      const waits = open({ revision: "v2", signal: waiting.signal });
      await waits.list!();
      let waited: Promise<string> | undefined;
      const onProgress = (_: string, done: number) => {
        waited ??= waits.open("other.gguf").then(
          () => "opened",
          (error: Error) => error.message,
        );
        if (done === file.length) waiting.abort(new Error("waited"));
      };
      const downloaded = await open({ revision: "v2", onProgress }).open("other.gguf");
      expect(downloaded!.size).toBe(file.length);
      expect(await waited).toBe("waited");
    });
  });

  describe("what an earlier download left", () => {
    it.each(["config.json", "model.safetensors"])("is verified: %s", async (name) => {
      const wanted = await bytesOf(name);
      await mkdir(join(kept, commit), { recursive: true });
      for (const damaged of [wanted.slice(0, 50).fill(7), wanted.slice().fill(7), new Uint8Array(wanted.length + 1)]) {
        await writeFile(join(kept, commit, `${name}~part`), damaged);
        const source = (await open().open(name))!;
        expect(await source.read(0, source.size)).toEqual(wanted);
        await rm(join(kept, commit, name));
      }
    });

    it("and a small file that is not what the hub listed is refused", async () => {
      const files = open();
      await files.list!();
      const damaged = server.files.get("config.json")!.slice();
      damaged[9]! ^= 1;
      server.files.set("config.json", damaged);
      await expect(files.open("config.json")).rejects.toThrow(
        /owner\/tiny\/config\.json: what came has the git SHA-1 \w{40}; it should have \w{40}\. It is gone; try again/,
      );
    });
  });

  it("keeps hubs, owners, names and revisions apart", async () => {
    const places = new Set<string>();
    const copy = new HubServer();
    await copy.start();
    for (const [name, text] of server.files) copy.files.set(name, text);
    for (const url of [server.url, copy.url, `${server.url}/`])
      for (const revision of ["main", "Main", "a/b", "a-b", "a.json"]) {
        await hub("owner/tiny", { url, cache, revision }).list!();
        places.add(`${url.replace(/\/$/, "")} ${revision}`);
      }
    await copy.stop();
    const listings = (await readdir(cache, { recursive: true })).filter((path) => path.endsWith(".json"));
    expect(new Set(listings.map((path) => path.toLowerCase())).size).toBe(places.size);
    // a--b/c and a/b--c had one folder.
    const asked = server.requests.length;
    for (const name of ["a--b/c", "a/b--c"])
      await expect(hub(name, { url: server.url, cache }).list!()).rejects.toThrow(`${name}: revision "main"`);
    expect(server.requests.length).toBe(asked + 2);
  });

  describe("a token", () => {
    const tokens = (of: HubServer) => of.headers.map(([, headers]) => headers.authorization);

    it("goes to the hub, and to no host that it redirects to", async () => {
      const elsewhere = new HubServer();
      await elsewhere.start();
      elsewhere.files.set("model.safetensors", server.files.get("model.safetensors")!);
      server.trouble = (path, response) => {
        if (!path.includes("/resolve/")) return false;
        // Another port of this machine is another origin.
        response.writeHead(302, { location: `${elsewhere.url}/plain/model.safetensors` }).end();
        return true;
      };
      for (const inPlace of [true, false]) {
        const source = (await open({ token: "secret", inPlace }).open("model.safetensors"))!;
        expect(await source.read(0, source.size)).toEqual(await bytesOf("model.safetensors"));
      }
      expect(new Set(tokens(server))).toEqual(new Set(["Bearer secret"]));
      expect(elsewhere.headers.length).toBeGreaterThan(3);
      expect(new Set(tokens(elsewhere))).toEqual(new Set([undefined]));
      // Other headers that a caller gives are as secret.
      server.headers.length = 0;
      elsewhere.headers.length = 0;
      const files = remote(`${server.url}/owner/tiny/resolve/main`, { headers: { "x-key": "secret" } });
      await (await files.open("model.safetensors"))!.read(0, 8);
      expect(server.headers.every(([, headers]) => headers["x-key"] === "secret")).toBe(true);
      expect(elsewhere.headers.map(([, headers]) => headers["x-key"])).toEqual([undefined, undefined]);
      await elsewhere.stop();
    });

    it("of the environment is for the environment's hub alone", async () => {
      vi.stubEnv("HF_TOKEN", "secret");
      vi.stubEnv("HF_ENDPOINT", "http://127.0.0.1:1");
      await open().list!();
      vi.stubEnv("HF_ENDPOINT", `${server.url}/`);
      await open({ cache: join(cache, "other") }).list!();
      vi.unstubAllEnvs();
      expect(tokens(server)).toEqual([undefined, undefined, "Bearer secret", "Bearer secret"]);
    });

    it("does not follow a list of files to another host", async () => {
      server.trouble = (path, response) => {
        if (path.includes("/tree/"))
          response.setHeader("link", '<http://127.0.0.1:1/api/models/owner/tiny/tree/main?cursor=x>; rel="next"');
        return false;
      };
      await expect(open({ token: "secret" }).list!()).rejects.toThrow(
        /owner\/tiny: the hub's list of files goes on at "http:\/\/127\.0\.0\.1:1.*", which is another host/,
      );
    });

    it("that is no text is refused without being shown", () => {
      expect(() => open({ token: "secret\n" })).toThrow(/^owner\/tiny: the token is not ASCII; it must be text$/);
      expect(() => open({ token: 7 as never })).toThrow(/the token is 7/);
    });
  });

  describe("a list of files", () => {
    it("is read page by page, up to twenty", async () => {
      let most = 3;
      let pages = 0;
      server.trouble = (path, response) => {
        if (path.includes("/tree/") && ++pages < most)
          response.setHeader("link", `<${server.url}${path}?cursor=${pages}>; rel="next"`);
        return false;
      };
      expect((await open().list!()).length).toBe(6);
      most = Number.POSITIVE_INFINITY;
      pages = 0;
      await expect(open({ revision: "v2" }).list!()).rejects.toThrow(/owner\/tiny: has more than 20 pages of files/);
      expect(pages).toBe(20);
    });

    it("without an end is given up", async () => {
      server.trouble = (path, response) => {
        if (!path.includes("/tree/")) return false;
        const more = () => {
          while (!response.destroyed && response.write(" ".repeat(2 ** 16)));
        };
        response.on("drain", more);
        more();
        return true;
      };
      await expect(open().list!()).rejects.toThrow(/owner\/tiny: the hub's answer has more than 16777216 bytes/);
    });
  });

  it.each<[object, RegExp]>([
    [
      { tokn: "x" },
      /^hub: no option is called "tokn"; there are revision, token, url, signal, cache, inPlace, onProgress$/,
    ],
    [{ onProgress: 5 }, /^onProgress is 5; it must be a function$/],
    [{ inPlace: 5 }, /^inPlace is 5; it must be true or false$/],
    [{ signal: {} }, /^signal is \{\}; it must be an AbortSignal/],
    [{ url: "hub.test" }, /^the hub's url is "hub\.test"; it must begin with http/],
    [{ revision: 7 }, /^owner\/tiny: revision is 7/],
    [{ cache: 7 }, /^cache is 7; it must be the path of a folder/],
  ])("refuses the options %o", (options, message) => {
    expect(() => hub("owner/tiny", options)).toThrow(message);
  });

  it.each(["", "a/b/c", "../x", "a/..", "owner name", "./x", "a/.", ".a/b", "-a/b"])("refuses the name %j", (name) => {
    expect(() => hub(name)).toThrow(DownloadError);
  });
});
