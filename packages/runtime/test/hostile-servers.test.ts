import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { DownloadError, remote } from "@ziggurat/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hubInPlace } from "../src/files/hub-repository.js";

// What servers may answer. With headers of the caller, redirects are followed here and not by fetch.

let location = "";
let list: unknown = [];
const server = createServer(({ url = "" }, response) => {
  if (url.startsWith("/api/")) {
    response.end(JSON.stringify(url.includes("/revision/") ? { sha: "a".repeat(40) } : list));
    return;
  }
  response.writeHead(302, { location });
  response.end();
});
const addressOf = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => new Promise((resolve) => server.close(resolve)));

describe.each([
  ["without headers", {}],
  ["with headers", { authorization: "Bearer secret" }],
])("a redirect %s", (_, headers) => {
  it.each(["data:application/octet-stream,hello", "data:,", "file:///etc/hosts", "blob:x", "about:blank", "http://["])(
    "to %s is a DownloadError",
    async (to) => {
      location = to;
      const opened = remote(addressOf(), { headers }).open("config.json");
      await expect(opened).rejects.toBeInstanceOf(DownloadError);
    },
  );
});

it("a listing leaves out what has no text for a name, and the hashes that are none", async () => {
  const odd = { toString: 1 };
  list = [
    { type: "file", path: odd, size: 3 },
    { type: "file", path: "a", size: 3, oid: odd },
    { type: "file", path: "b", size: 3, lfs: { oid: odd } },
    null,
  ];
  expect(await hubInPlace("owner/name", { url: addressOf() }).list!()).toEqual(["a", "b"]);
});
