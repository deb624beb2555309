import { createHash } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const commit = "0123456789abcdef0123456789abcdef01234567";

/**
 * A hub on this machine with one repository, owner/tiny: its facts, its files, and ranges of them. The same files are
 * under /plain/, as on any web server.
 */
export class HubServer {
  readonly files = new Map<string, Uint8Array>();
  /** Path and range of each request. */
  requests: string[] = [];
  /** Bytes of files that were sent. */
  sent = 0;
  /** What goes wrong with a request; gives whether it did. */
  trouble: (path: string, response: ServerResponse, request: IncomingMessage) => boolean = () => false;
  /** The headers of each request, by path. */
  readonly headers: [path: string, headers: IncomingHttpHeaders][] = [];
  /** Whether ranges are answered. */
  ranges = true;
  /** Where it was last. */
  url = "";
  readonly #server = createServer((request, response) => this.#answer(request, response));

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url!, "http://hub");
    this.headers.push([pathname, request.headers]);
    this.requests.push(`${pathname} ${request.headers.range ?? ""}`.trim());
    if (this.trouble(pathname, response, request)) return;
    const json = (value: unknown) => response.setHeader("content-type", "application/json").end(JSON.stringify(value));
    if (pathname.startsWith("/api/models/owner/tiny/revision/")) {
      const facts = { private: false, gated: false, downloads: 0, likes: 0, lastModified: "2025-01-01T00:00:00.000Z" };
      json({ _id: "1", id: "owner/tiny", sha: commit, ...facts });
    } else if (pathname.startsWith(`/api/models/owner/tiny/tree/${commit}`)) {
      const folder = pathname.slice(`/api/models/owner/tiny/tree/${commit}/`.length);
      const here = [...this.files].filter(([path]) => path.slice(0, Math.max(0, path.lastIndexOf("/"))) === folder);
      const files = here.map(([path, bytes]) => {
        const large = /\.(safetensors|gguf)$/.test(path);
        const lfs = large
          ? { lfs: { oid: createHash("sha256").update(bytes).digest("hex"), size: bytes.length, pointerSize: 1 } }
          : {};
        const oid = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
        return { type: "file", path, size: bytes.length, oid, ...lfs };
      });
      json([
        ...files,
        { type: "directory", path: "onnx", size: 0, oid: "2" },
        { type: "file", path: "../evil.json", size: 1, oid: "3" },
      ]);
    } else
      this.#file(
        decodeURIComponent(pathname.replace(/^\/(owner\/tiny\/resolve\/[^/]+|plain)\//, "")),
        request,
        response,
      );
  }

  #file(name: string, request: IncomingMessage, response: ServerResponse): void {
    const file = this.files.get(name);
    if (!file) return void response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
    const etag = `"${createHash("sha1").update(file).digest("hex")}"`;
    const range = this.ranges ? /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") : null;
    if (!range) {
      response.writeHead(200, { etag, "content-length": file.length });
      if (request.method !== "HEAD") this.sent += file.length;
      return void response.end(request.method === "HEAD" ? undefined : file);
    }
    const [, from, to] = range;
    if (Number(from) >= file.length)
      return void response.writeHead(416, { "content-range": `bytes */${file.length}` }).end();
    const part = file.subarray(Number(from), Number(to) + 1);
    this.sent += part.length;
    response.writeHead(206, {
      etag,
      "content-range": `bytes ${from}-${Number(from) + part.length - 1}/${file.length}`,
      "content-length": part.length,
    });
    response.end(part);
  }
}
