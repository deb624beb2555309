import { deepStrictEqual } from "node:assert";
import { type Backend, OutOfMemoryError } from "@ziggurat/tensor";
import { describe, test } from "vitest";
import { create } from "./create.js";

const mebibyte = 2 ** 20;

/** Fills a buffer of 1 MiB and checks what it reads back. */
async function works(backend: Backend): Promise<void> {
  const words = mebibyte / 4;
  const buffer = backend.allocate(mebibyte, "test");
  const fill = await backend.prepare("fill", { words, dtype: "i32", value: 7 });
  backend.dispatch(fill, { out: { buffer, offset: 0 } });
  const got = new Int32Array((await backend.read({ buffer, offset: 0 }, mebibyte)).buffer);
  deepStrictEqual(
    got.every((word) => word === 7),
    true,
  );
  backend.free(buffer);
  await backend.synchronise();
}
const refused = async (backend: Backend) => {
  const error: unknown = await backend.synchronise().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  deepStrictEqual(error instanceof OutOfMemoryError, true, String(error));
};

/** Tests a backend that runs out of memory, at its ceiling and at that of the device. */
export function testOutOfMemory(): void {
  describe("out of memory", () => {
    test("at the ceiling: a typed error, nothing counted, and the backend goes on", async () => {
      const backend = await create(false, { maxBytes: 64 * mebibyte });
      const first = backend.allocate(48 * mebibyte, "test");
      const second = backend.allocate(32 * mebibyte, "test");
      await refused(backend);
      deepStrictEqual(backend.memory().live, 48 * mebibyte);
      await works(backend);
      backend.free(first);
      backend.free(second);
      const third = backend.allocate(60 * mebibyte, "test");
      await works(backend);
      backend.free(third);
      await backend.dispose();
    });

    test("at the device's end: the same, also for what uses the buffer", async () => {
      const backend = await create(false, { maxBytes: 2 ** 50 });
      const gibibyte = 2 ** 30;
      const held = Array.from({ length: 40 }, () => backend.allocate(4 * gibibyte, "test"));
      await refused(backend);
      const live = backend.memory().live;
      deepStrictEqual(live < 160 * gibibyte && live > 0, true, `${live} bytes are counted`);
      const fill = await backend.prepare("fill", { words: 64, dtype: "i32", value: 1 });
      backend.dispatch(fill, { out: { buffer: held.at(-1)!, offset: 0 } });
      await refused(backend);
      for (const buffer of held) backend.free(buffer);
      deepStrictEqual(backend.memory().live, 0);
      await backend.synchronise();
      await works(backend);
      await backend.dispose();
    });
  });
}
