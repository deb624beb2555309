import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { checkpoint, HubServer } from "@ziggurat/bench-kit/fixtures";
import {
  ConfigError,
  DownloadError,
  FormatError,
  loadModel,
  type ModelSource,
  modelFiles,
  openModel,
  RequestError,
  remote,
} from "@ziggurat/runtime";
import { logProbabilities } from "@ziggurat/runtime/evaluate";
import { file, folder } from "@ziggurat/runtime/node";
import { reference } from "@ziggurat/tensor";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ggufOf, ggufPartsOf } from "./support/convert-checkpoint.js";

// The forms in which people have a model, as they are given to loadModel.

const ids = [5, 3, 8, 1, 9, 2];
const scoresOf = async (source: ModelSource): Promise<number[]> => {
  const backend = reference();
  const model = await loadModel(source, { backend, rows: "f32", weights: "f32" });
  const scores = [...(await logProbabilities(model, ids))];
  model.free();
  return scores;
};
const bytesOf = async (name: string) => {
  const source = (await checkpoint().files.open(name))!;
  return source.read(0, source.size);
};

let server: HubServer;
let path: string;
let gguf: Uint8Array<ArrayBuffer>;
let parts: Record<string, Uint8Array<ArrayBuffer>>;
beforeEach(async () => {
  server = new HubServer();
  await server.start();
  path = await mkdtemp(join(tmpdir(), "ziggurat-files-"));
  vi.stubEnv("HF_ENDPOINT", server.url);
  vi.stubEnv("ZIGGURAT_CACHE", join(path, "cache"));
  gguf = (await ggufOf("llama-tied", "llama", {
    "general.name": ["string", "A tiny\nLlama"],
  })) as Uint8Array<ArrayBuffer>;
  parts = await ggufPartsOf("llama-tied", "llama", 3);
  for (const name of ["config.json", "model.safetensors"]) server.files.set(name, await bytesOf(name));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.stop();
  await rm(path, { recursive: true });
});

const asFile = ([name, bytes]: [string, Uint8Array<ArrayBuffer>]) => new File([bytes], name);
const write = async (files: Record<string, Uint8Array>) => {
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes);
};

describe("a model in safetensors", () => {
  it("is the same from a path, a hub, a URL, URLs, File objects and files in memory", async () => {
    const wanted = await scoresOf(checkpoint().files);
    await mkdir(join(path, "model"));
    const all = [...server.files] as [string, Uint8Array<ArrayBuffer>][];
    await write(Object.fromEntries(all.map(([name, bytes]) => [`model/${name}`, bytes])));
    const sources: ModelSource[] = [
      join(path, "model"),
      "owner/tiny",
      "owner/tiny@main",
      `${server.url}/owner/tiny`,
      `${server.url}/owner/tiny/tree/main`,
      `${server.url}/plain/`,
      new URL("/plain", server.url),
      all.map(([name]) => `${server.url}/plain/${name}?download=true`),
      all.map(asFile),
      new Set(all.map(asFile)),
    ];
    for (const source of sources) expect(await scoresOf(source), String(source)).toEqual(wanted);
  });

  it("calls onDownload with each file", async () => {
    const names = new Set<string>();
    await loadModel("owner/tiny", { backend: reference(), onDownload: (name) => void names.add(name) });
    expect([...names]).toEqual(["config.json", "model.safetensors"]);
  });
});

it("a model larger than the backend is refused before its weights are read, with both sizes", async () => {
  const weights = await bytesOf("model.safetensors");
  const loaded = loadModel(`${server.url}/plain`, { backend: reference({ maxBytes: 50_000 }) });
  await expect(loaded).rejects.toThrow(/\/plain: its weights take \d{5,} bytes; the reference backend has 50000 left$/);
  await expect(loaded).rejects.toThrow(RequestError);
  expect(weights.length).toBeGreaterThan(100_000);
  expect(server.sent).toBeLessThan(10_000);
});

describe("a model in a GGUF file", () => {
  it("is the same whole and in parts, from a path, a hub, a URL and File objects", async () => {
    const wanted = await scoresOf(new File([gguf], "m.gguf"));
    const [second] = Object.keys(parts).slice(1);
    await write({ "m.gguf": gguf, ...parts });
    server.files.clear();
    server.files.set("m.gguf", gguf);
    // Other files beside a file of the hub are not part of the model.
    server.files.set("config.json", new TextEncoder().encode("{}"));
    for (const [name, bytes] of Object.entries(parts))
      for (const at of ["", "F32/"]) server.files.set(`${at}${name}`, bytes);
    await mkdir(join(path, "parts"));
    await write(Object.fromEntries(Object.entries(parts).map(([name, bytes]) => [`parts/${name}`, bytes])));
    const sources: ModelSource[] = [
      join(path, "m.gguf"),
      join(path, second!),
      join(path, "parts"),
      "owner/tiny/m.gguf",
      `owner/tiny/${second}`,
      `owner/tiny/F32/${second}@main`,
      `${server.url}/owner/tiny/resolve/main/F32/${second}`,
      `${server.url}/owner/tiny/blob/main/m.gguf`,
      `${server.url}/plain/m.gguf`,
      `${server.url}/plain/${second}`,
      Object.entries(parts).map(asFile).reverse(),
    ];
    for (const source of sources) expect(await scoresOf(source), String(source)).toEqual(wanted);
  });

  it("has the name in its metadata, or that of its file", async () => {
    await write({ "m.gguf": gguf, ...parts });
    expect((await openModel(join(path, "m.gguf"))).name).toBe("A tiny Llama");
    expect((await openModel(join(path, Object.keys(parts)[0]!))).name).toBe("llama-tied");
    expect((await openModel(checkpoint().files)).name).toBe("tiny (seed 1)");
  });

  it("refuses parts that are missing, wrong or not all of one model", async () => {
    const [one, two, three] = Object.keys(parts) as [string, string, string];
    const opened = (files: Record<string, Uint8Array<ArrayBuffer>>) => openModel(Object.entries(files).map(asFile));
    await expect(opened({ [one]: parts[one]!, [three]: parts[three]! })).rejects.toThrow(
      /llama-tied-00002-of-00003\.gguf: is not there; the model has 3/,
    );
    await expect(opened({ ...parts, [two]: parts[three]! })).rejects.toThrow(
      /says that it is part 2 \(from 0\) of 3; by its name it is 1 of 3/,
    );
    await expect(opened({ ...parts, "m.gguf": gguf })).rejects.toThrow(
      /2 models in \.gguf files \(llama-tied-00001-of-00003\.gguf, m\.gguf\)/,
    );
    await expect(opened({ "renamed.gguf": parts[one]! })).rejects.toThrow(
      /is one of 3 parts; they must lie side by side/,
    );
    for (const files of [{ [one]: parts[one]! }, { [one]: parts[one]!, [two]: parts[two]!, [three]: parts[two]! }])
      await expect(opened(files)).rejects.toThrow(FormatError);
  });

  it("opens a whole repository that has one model in GGUF files", async () => {
    server.files.clear();
    for (const [name, bytes] of Object.entries(parts)) server.files.set(name, bytes);
    expect((await openModel("owner/tiny")).facts.architecture).toBe("LlamaForCausalLM");
  });
});

describe("what is no model", () => {
  it.each<[unknown, RegExp]>([
    ["nowhere", /there is no "nowhere"; give a folder with config\.json.*a repository of the hub as owner\/name/],
    ["./no/where", /there is no "\.\/no\/where"/],
    ["models/m.gguf", /there is no "models\/m\.gguf"/],
    ["package.json", /"package\.json" is a file and no \.gguf file/],
    ["ftp://host/m.gguf", /is no URL that begins with http/],
    ["http://", /is no URL/],
    ["https://host/%ff.gguf", /is no URL of a file/],
    [[], /\[\] is no model; give a name, a path, a URL/],
    [["m.gguf"], /is no model/],
    [undefined, /undefined is no model/],
    [7, /7 is no model/],
    [{}, /\{\} is no model/],
  ])("%j is refused", async (source, message) => {
    const files = modelFiles(source as ModelSource);
    await expect(files).rejects.toThrow(message);
    await expect(
      files.catch((error: unknown) => error instanceof FormatError || error instanceof DownloadError),
    ).resolves.toBe(true);
  });

  it("is distinguished from a hub that lacks it", async () => {
    await expect(openModel("owner/none")).rejects.toThrow(
      /owner\/none: revision "main": http.* has no such repository or revision/,
    );
    await expect(openModel("owner/tiny/other.gguf")).rejects.toThrow(/owner\/tiny\/other\.gguf: is not there/);
    await expect(openModel(`${server.url}/nothing`)).rejects.toThrow(ConfigError);
    await expect(openModel(`${server.url}/plain/other.gguf`)).rejects.toThrow(/other\.gguf: is not there/);
  });
});

describe("remote", () => {
  const weights = async () => (await (await modelFiles(`${server.url}/plain`)).open("model.safetensors"))!;

  it("reads no more of a file than what is asked for", async () => {
    server.files.set("model.safetensors", new Uint8Array(20 * 2 ** 20).fill(7));
    const source = await weights();
    expect(source.size).toBe(20 * 2 ** 20);
    expect(await source.read(10_000_000, 3)).toEqual(Uint8Array.of(7, 7, 7));
    expect((await source.read(source.size, 0)).length).toBe(0);
    expect(server.sent).toBe(4);
    await expect(source.read(source.size, 1)).rejects.toThrow(FormatError);
  });

  it("says that a file has changed since it was opened", async () => {
    const source = await weights();
    const changed = (await bytesOf("model.safetensors")).slice();
    changed[2000]! ^= 1;
    server.files.set("model.safetensors", changed);
    await expect(source.read(0, 8)).rejects.toThrow(
      /plain\/model\.safetensors: has changed since it was opened; open it again/,
    );
    server.files.set("model.safetensors", changed.slice(1));
    await expect(source.read(0, 8)).rejects.toThrow(DownloadError);
  });

  it("asks once more, past the cache, if an answer does not fit", async () => {
    const wanted = await bytesOf("model.safetensors");
    const source = await weights();
    let fits = true;
    const past: boolean[] = [];
    server.trouble = (_, response, request) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!;
      past.push(request.headers["cache-control"] === "no-cache");
      if (fits && past.at(-1)) return false;
      response.writeHead(206, { "content-range": `bytes ${from}-${to}/${wanted.length}` });
      response.end(wanted.subarray(Number(from), Number(to) + 2));
      return true;
    };
    expect(await source.read(40, 8)).toEqual(wanted.slice(40, 48));
    expect(past).toEqual([false, true]);
    expect(await source.read(40, 8)).toEqual(wanted.slice(40, 48));
    expect(past).toEqual([false, true, true]);
    fits = false;
    await expect(source.read(40, 8)).rejects.toThrow(
      /^http:\/\/127\.0\.0\.1:\d+\/plain\/model\.safetensors: more came than the 8 bytes from byte 40 on$/,
    );
  });

  it.each([
    ["compressed", { "content-encoding": "gzip" }, gzipSync("x")],
    ["of more bytes", {}, Buffer.from("xyz")],
  ])("is opened past the cache, if its first byte comes %s", async (_, headers, body) => {
    const wanted = await bytesOf("model.safetensors");
    let fits = true;
    server.trouble = (_, response, request) => {
      if (fits && request.headers["cache-control"] === "no-cache") return false;
      // The size is that of something else, too.
      response.writeHead(206, { ...headers, "content-range": "bytes 0-0/77" }).end(body);
      return true;
    };
    const source = await weights();
    expect(source.size).toBe(wanted.length);
    expect(await source.read(40, 8)).toEqual(wanted.slice(40, 48));
    fits = false;
    await expect(weights()).rejects.toThrow(
      /model\.safetensors: http.* answers a range with other bytes than it was as/,
    );
  });

  it("names the one file of a URL once in errors", async () => {
    server.files.set("m.gguf", gguf);
    const source = (await remote(`${server.url}/plain/m.gguf?x=1`).open("m.gguf"))!;
    await expect(source.read(gguf.length, 1)).rejects.toThrow(
      /^http:\/\/127\.0\.0\.1:\d+\/plain\/m\.gguf: cannot read/,
    );
  });

  it("gives up a file without an end", async () => {
    vi.spyOn(globalThis, "fetch").mockImplementation(async () => {
      const chunk = new Uint8Array(2 ** 28);
      return new Response(new ReadableStream({ pull: (to) => to.enqueue(chunk) }));
    });
    await expect(weights()).rejects.toThrow(
      /has more than 2147483648 bytes, and its server does not answer ranges; download it first/,
    );
    vi.restoreAllMocks();
  });

  it.each<[() => unknown, RegExp]>([
    [
      () => remote("https://host/", { header: {} } as never),
      /^remote: no option is called "header"; there are headers/,
    ],
    [() => remote("https://host/", { signal: 1 } as never), /^signal is 1; it must be an AbortSignal/],
    [() => remote("m.gguf"), /^"m\.gguf" is no URL that begins with http/],
    [() => remote("file:///m.gguf"), /is no URL that begins with http/],
  ])("refuses what it does not know: %s", (call, message) => {
    expect(call).toThrow(message);
  });

  it("asks again for what a cut connection or a busy server left out, but not without end", async () => {
    const wanted = await bytesOf("model.safetensors");
    const source = await weights();
    let requests = 0;
    server.trouble = (_, response, request) => {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!;
      if (++requests % 3 === 1) response.writeHead(503).end();
      else if (requests % 3 === 0) return false;
      else {
        const part = wanted.subarray(Number(from), Number(to) + 1);
        response.writeHead(206, {
          "content-range": `bytes ${from}-${to}/${wanted.length}`,
          "content-length": part.length,
        });
        response.write(part.subarray(0, 5000), () => response.destroy());
      }
      return true;
    };
    expect(Buffer.compare(await source.read(0, source.size), wanted)).toBe(0);
    server.trouble = (_, response) => {
      response.writeHead(503).end();
      return true;
    };
    await expect(source.read(40, 8)).rejects.toThrow(/byte 40 did not come, asked for 3 times/);
  });

  it("takes a file whole from a server without ranges, an empty one too", async () => {
    server.ranges = false;
    server.files.set("empty", new Uint8Array(0));
    expect(await (await weights()).read(0, 100)).toEqual((await bytesOf("model.safetensors")).slice(0, 100));
    const files = await modelFiles(`${server.url}/plain`);
    expect((await files.open("empty"))!.size).toBe(0);
    server.ranges = true;
    expect((await files.open("empty"))!.size).toBe(0);
    expect(await files.open("nothing")).toBeUndefined();
  });

  it.each([
    [401, /answers 401; it may need a token/],
    [500, /answers 500/],
  ])("says that the server answers %d", async (status, message) => {
    server.trouble = (_, response) => {
      response.writeHead(status).end();
      return true;
    };
    await expect(weights()).rejects.toThrow(message);
    await expect(weights()).rejects.toThrow(DownloadError);
  });

  it("says that there is no server", async () => {
    await server.stop();
    await expect(weights()).rejects.toThrow(/127\.0\.0\.1:\d+ cannot be reached/);
    await expect(weights()).rejects.toThrow(DownloadError);
    await server.start();
  });
});

describe("on a page", () => {
  it("a repository of the hub is read in place", async () => {
    const { versions } = process;
    const options = { url: server.url };
    Object.defineProperty(process, "versions", { value: {}, configurable: true });
    const files = await modelFiles("owner/tiny", options).finally(() =>
      Object.defineProperty(process, "versions", { value: versions }),
    );
    expect(await files.list!()).toEqual(["config.json", "model.safetensors"]);
    expect(await scoresOf(files)).toEqual(await scoresOf(checkpoint().files));
    expect(await files.open("tokenizer.json")).toBeUndefined();
    await expect(readdir(join(path, "cache"))).rejects.toThrow(/ENOENT/);
  });

  it("nothing that the entries but node.ts import needs Node", () => {
    const seen = new Set<string>();
    const outside = new Set<string>();
    const walk = (file: URL) => {
      if (seen.has(file.href)) return;
      seen.add(file.href);
      const text = readFileSync(file, "utf8").replace(/^(import|export) type .*$/gm, "");
      for (const [, specifier] of text.matchAll(/(?:\bfrom |(?<!typeof )\bimport\()"([^"]+)"/g)) {
        if (specifier!.startsWith(".")) walk(new URL(specifier!.replace(/\.js$/, ".ts"), file));
        else outside.add(specifier!);
      }
    };
    for (const entry of ["index", "evaluate", "formats", "families"])
      walk(new URL(`../src/${entry}.ts`, import.meta.url));
    expect(seen.size).toBeGreaterThan(50);
    expect([...outside].filter((name) => !name.startsWith("@ziggurat/")).sort()).toEqual(["@huggingface/jinja"]);
  });
});

describe("on disk", () => {
  it("a GGUF file gives itself and its parts alone", async () => {
    await write({ "m.gguf": gguf, ...parts, "config.json": new TextEncoder().encode("{}") });
    expect(await file(join(path, "m.gguf")).list!()).toEqual(["m.gguf"]);
    expect(await file(join(path, "m.gguf")).open("config.json")).toBeUndefined();
    expect(await file(join(path, Object.keys(parts)[1]!)).list!()).toEqual(Object.keys(parts));
    expect((await folder(path).list!()).length).toBe(5);
  });
});

describe("options", () => {
  const backend = reference();
  it.each<[() => Promise<unknown>, RegExp]>([
    [
      () => loadModel(checkpoint().files, { backend, weigths: "q8_0" } as never),
      /^loadModel: no option is called "weigths"; there are backend, weights, rows, families, contextLength, onDownload, /,
    ],
    [() => loadModel(checkpoint().files, undefined as never), /^loadModel: the options are undefined; they must be an/],
    [() => openModel(checkpoint().files, { backend } as never), /^openModel: no option is called "backend"/],
    [() => modelFiles("a", { onDownload() {} } as never), /^modelFiles: no option is called "onDownload"/],
    [() => loadModel(checkpoint().files, {} as never), /^backend is undefined; it must be such as await cpu\(\)$/],
    [
      () => loadModel(checkpoint().files, { backend: Promise.resolve(backend) } as never),
      /^backend is a promise; await cpu\(\)$/,
    ],
    [
      () => loadModel(checkpoint().files, { backend, onProgress: 5 } as never),
      /^onProgress is 5; it must be a function$/,
    ],
    [
      () => loadModel(checkpoint().files, { backend, onDownload: {} } as never),
      /^onDownload is \{\}; it must be a func/,
    ],
    [
      () => loadModel(checkpoint().files, { backend, signal: {} } as never),
      /^signal is \{\}; it must be an AbortSignal/,
    ],
    [() => modelFiles("a", { signal: 1 } as never), /^signal is 1; it must be an AbortSignal/],
    [() => modelFiles("a", { onProgress: 1 } as never), /^onProgress is 1; it must be a function/],
  ])("that are wrong are refused: %s", async (call, message) => {
    await expect(call()).rejects.toThrow(message);
    await expect(call()).rejects.toThrow(RequestError);
    expect(backend.memory().live).toBe(0);
  });
});

describe("a signal", () => {
  const loading = (source: ModelSource, signal: AbortSignal, onProgress = () => {}) => {
    const backend = reference();
    return { backend, loaded: loadModel(source, { backend, signal, onProgress }) };
  };

  it("ends loading before it begins or between two chunks of weights, and leaves nothing allocated", async () => {
    const early = loading(checkpoint().files, AbortSignal.abort(new Error("not now")));
    await expect(early.loaded).rejects.toThrow("not now");
    const controller = new AbortController();
    const amid = loading(checkpoint().files, controller.signal, () => controller.abort(new Error("enough")));
    await expect(amid.loaded).rejects.toThrow("enough");
    expect(early.backend.memory().live).toBe(0);
    expect(amid.backend.memory().live).toBe(0);
  });

  it.each([
    ["of a hub", () => "owner/tiny"],
    ["by URLs", () => ["config.json", "model.safetensors"].map((name) => `${server.url}/plain/${name}`)],
  ])("ends a download %s whose server stops responding", async (_, source) => {
    const controller = new AbortController();
    server.trouble = (name, response) => {
      if (!name.endsWith(".safetensors")) return false;
      response.writeHead(200, { "content-length": 1e6 });
      response.write("x");
      controller.abort(new Error("too slow"));
      return true;
    };
    await expect(loading(source(), controller.signal).loaded).rejects.toThrow("too slow");
  });
});
