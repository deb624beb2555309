import { readFileSync } from "node:fs";
import { bytesOf, reference, weightLayout } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";

interface Tensor {
  readonly blockBytes: number;
  readonly rows: number;
  readonly columns: number;
  readonly blocks: string;
  readonly values: string;
}
const fixture = JSON.parse(readFileSync(new URL("fixtures/gguf-quants.json", import.meta.url), "utf8")) as {
  types: Record<"Q8_0" | "Q4_0" | "Q4_1", Tensor>;
};

/** GGUF's blocks (scale, minimum if there is one, quants) as the planes of `weightLayout`. */
function replane(dtype: "q8_0" | "q4_0" | "q4_1", { blocks, blockBytes, rows, columns }: Tensor): Uint8Array {
  const source = Buffer.from(blocks, "base64");
  const { scales, minimums, bytes } = weightLayout(dtype, rows, columns);
  const planes = new Uint8Array(bytes);
  const head = dtype === "q4_1" ? 4 : 2;
  for (let block = 0; block * blockBytes < source.length; block++) {
    const from = block * blockBytes;
    planes.set(source.subarray(from, from + 2), scales + 2 * block);
    if (dtype === "q4_1") planes.set(source.subarray(from + 2, from + 4), minimums + 2 * block);
    planes.set(source.subarray(from + head, from + blockBytes), block * (blockBytes - head));
  }
  return planes;
}

describe("quantised weights", () => {
  it.each(["q8_0", "q4_0", "q4_1"] as const)("%s gives the numbers of gguf-py", async (dtype) => {
    const tensor = fixture.types[dtype.toUpperCase() as "Q8_0"];
    const { rows, columns } = tensor;
    const backend = reference();
    const place = (bytes: number) => ({ buffer: backend.allocate(bytes, "test"), offset: 0 });
    const [table, ids, out] = [place(bytesOf(dtype, [rows, columns])), place(4 * rows), place(4 * rows * columns)];
    backend.write(table, replane(dtype, tensor));
    backend.write(
      ids,
      Int32Array.from({ length: rows }, (_, row) => row),
    );
    const kernel = await backend.prepare("embed", {
      tokens: rows,
      vocabulary: rows,
      width: columns,
      weight: dtype,
      scale: 1,
    });
    backend.dispatch(kernel, { ids, table, out });
    const values = new Float32Array(Uint8Array.from(Buffer.from(tensor.values, "base64")).buffer);
    const got = new Float32Array((await backend.read(out, 4 * rows * columns)).buffer);
    expect(got.length).toBe(values.length);
    // scale x q + minimum is rounded twice in float32 by gguf-py, once here.
    const off = [...got].filter(
      (value, i) => Math.abs(value - values[i]!) > (dtype === "q4_1" ? 1e-6 * (1 + Math.abs(values[i]!)) : 0),
    );
    expect(off).toEqual([]);
  });

  it("lays planes out at multiples of 16 bytes", () => {
    expect(weightLayout("q8_0", 3, 32)).toEqual({ quants: 0, scales: 96, minimums: 112, bytes: 112 });
    expect(weightLayout("q4_0", 3, 32)).toEqual({ quants: 0, scales: 48, minimums: 64, bytes: 64 });
    expect(weightLayout("q4_1", 5, 64)).toEqual({ quants: 0, scales: 160, minimums: 192, bytes: 224 });
    expect(bytesOf("q8_0", [2, 4, 32])).toBe(bytesOf("q8_0", [8, 32]));
    expect(() => weightLayout("q8_0", 3, 33)).toThrow(/33 weights cannot be cut into blocks of 32/);
  });

  it("counts bytes of plain dtypes", () => {
    expect([
      bytesOf("f32", [2, 3]),
      bytesOf("i32", [5]),
      bytesOf("f16", [3, 1]),
      bytesOf("bf16", [7]),
      bytesOf("f32", []),
    ]).toEqual([24, 20, 6, 14, 4]);
  });
});
