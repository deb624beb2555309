import { readFileSync } from "node:fs";
import { addon, kernels } from "@ziggurat/cuda-linux-x64";
import { expect, test } from "vitest";

test("both binaries lie in the folder that is published", () => {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { files: string[] };
  for (const url of [addon, kernels]) {
    expect(url.protocol).toBe("file:");
    expect(manifest.files).toContain(new URL(".", url).pathname.split("/").at(-2));
  }
});
