import { random } from "../random.js";

const numbers = [0, 1, 2, 7, 31, 32, 33, 127, 128, 255, 256, 4095, 4096, 65535, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/**
 * A file with a few things wrong: bits turned, bytes replaced, counts made large, parts cut, doubled or moved. At most
 * 4,096 bytes.
 */
export function mutate(file: Uint8Array, seed: number): Uint8Array<ArrayBuffer> {
  const next = random(seed);
  const below = (limit: number) => Math.floor(next() * limit);
  let bytes = Uint8Array.from(file);
  for (let times = 1 + below(4); times > 0; times--) {
    const at = below(bytes.length + 1);
    const view = new DataView(bytes.buffer);
    switch (below(7)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = below(256);
        break;
      case 2:
        if (at + 4 <= bytes.length) view.setUint32(at, numbers[below(numbers.length)]!, true);
        break;
      case 3:
        if (at + 8 <= bytes.length)
          view.setBigUint64(at, next() < 0.5 ? 2n ** BigInt(below(64)) : BigInt(below(5000)), true);
        break;
      case 4:
        bytes = bytes.slice(0, at);
        break;
      case 5: {
        const from = below(bytes.length + 1);
        const part = bytes.subarray(from, from + below(64));
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...part, ...bytes.subarray(at)]);
        break;
      }
      default: {
        const to = at + below(64);
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(to)]);
      }
    }
  }
  return bytes.slice(0, 4096);
}

const values: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  2 ** 31,
  "",
  "a",
  "</s>",
  "(",
  "▁",
  [],
  {},
  [[]],
  [null],
  { type: "Sequence" },
  { Regex: "(" },
  "__proto__",
];

/** JSON with one to three of its parts replaced, dropped, or put in another's place. */
export function mutateJson(json: unknown, seed: number): unknown {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const copy = structuredClone(json);
  for (let times = 1 + Math.floor(next() * 3); times > 0; times--) {
    const places: { readonly of: Record<string, unknown>; readonly key: string }[] = [];
    const visit = (of: unknown) => {
      if (typeof of !== "object" || of === null) return;
      for (const key of Object.keys(of)) {
        places.push({ of: of as Record<string, unknown>, key });
        visit((of as Record<string, unknown>)[key]);
      }
    };
    visit(copy);
    if (places.length === 0) return copy;
    const { of, key } = pick(places);
    const other = pick(places);
    if (next() < 0.2 && !Array.isArray(of)) delete of[key];
    else of[key] = next() < 0.3 ? structuredClone(other.of[other.key]) : pick(values);
  }
  return copy;
}
