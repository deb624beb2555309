import {
  Account,
  type CacheShape,
  cacheBytes,
  peakBytes,
  planesOf,
  planTurn,
  rowBytes,
  scratchBytes,
  tableBytes,
} from "@ziggurat/cache";
import {
  afterPrefill,
  every,
  first,
  full,
  last,
  none,
  type Policy,
  PolicyError,
  perHead,
  recency,
  uniform,
  whenOver,
} from "@ziggurat/policy";
import { describe, expect, it } from "vitest";

const shape: CacheShape = {
  layers: [{ kind: "global" }, { kind: "sliding", window: 5 }, { kind: "global" }],
  ...{ queryHeads: 4, kvHeads: 2, headSize: 8, scale: 1, softcap: 0 },
};
const global: CacheShape = { ...shape, layers: [shape.layers[0]!, shape.layers[2]!] };

const keeping = (rows: number, schedule = whenOver()): Policy => ({
  name: "keeping",
  budget: uniform(rows),
  score: recency,
  protect: none,
  schedule,
});

describe("Account", () => {
  it("counts rows by budget and schedule; sliding layers keep their window for the next query", () => {
    const read = Account.empty(shape, keeping(7)).feed(20, "prefill");
    expect(read.keep).toEqual([
      [7, 7],
      [4, 4],
      [7, 7],
    ]);
    expect(read.account).toMatchObject({
      seen: 20,
      total: 36,
      most: 7,
      chosenAt: 20,
      evicted: 6 * 20 - 36,
      since: [0, 0, 0],
    });
    const { account } = read.account.feed(1, "decode");
    expect(account.rows).toEqual([
      [7, 7],
      [4, 4],
      [7, 7],
    ]);
    expect(account.chosenAt).toBe(21);
  });

  it("keeps all if the budget is not reached, and says that nothing was chosen", () => {
    const { account, keep } = Account.empty(global, keeping(30)).feed(20, "prefill");
    expect(keep).toEqual([undefined, undefined]);
    expect(account).toMatchObject({ evicted: 0, chosenAt: 0, most: 20 });
  });

  it("asks the schedule per layer with the tokens read since it last agreed", () => {
    const asked: object[] = [];
    let account = Account.empty(global, {
      ...keeping(4),
      schedule: (step) => {
        asked.push(step);
        return step.layer === 1 && step.phase === "decode" && step.excess > 2;
      },
    });
    account = account.feed(5, "prefill").account;
    for (let step = 0; step < 3; step++) account = account.feed(1, "decode").account;
    expect(asked.filter((step) => (step as { layer: number }).layer === 1)).toEqual([
      { phase: "prefill", layer: 1, seen: 5, rows: 5, excess: 1, sinceCompressed: 5 },
      { phase: "decode", layer: 1, seen: 6, rows: 6, excess: 2, sinceCompressed: 6 },
      { phase: "decode", layer: 1, seen: 7, rows: 7, excess: 3, sinceCompressed: 7 },
      { phase: "decode", layer: 1, seen: 8, rows: 5, excess: 1, sinceCompressed: 1 },
    ]);
    expect(account.rows).toEqual([
      [8, 8],
      [5, 5],
    ]);
  });

  it("asks the budget about global layers only, by their numbers", () => {
    const asked: unknown[] = [];
    const policy: Policy = {
      ...keeping(1),
      budget: ({ layers }) => {
        asked.push(layers);
        return layers.map(({ layer }) => 4 + layer);
      },
    };
    expect(Account.empty(shape, policy).feed(20, "prefill").keep).toEqual([
      [4, 4],
      [4, 4],
      [6, 6],
    ]);
    expect(asked).toEqual([
      [
        { layer: 0, kvHeads: 2, headSize: 8 },
        { layer: 2, kvHeads: 2, headSize: 8 },
      ],
    ]);
  });

  it("cuts every head to its own budget, but no head to more than it holds", () => {
    const { account, keep } = Account.empty(global, { ...keeping(1), budget: perHead(3, 9) }).feed(6, "prefill");
    expect(keep).toEqual([
      [3, 6],
      [3, 6],
    ]);
    expect(account.feed(1, "decode").account.rowsOf(0)).toEqual([3, 7]);
  });

  it("never changes: feeding makes another account", () => {
    const start = Account.empty(global, keeping(3)).feed(5, "prefill").account;
    const after = start.feed(4, "decode").account;
    expect(start).toMatchObject({ seen: 5, evicted: 8, since: [0, 0], rows: new Array(2).fill([3, 3]) });
    expect(after).toMatchObject({ seen: 9, evicted: 24, chosenAt: 9 });
    start.rows[0]![0] = 99;
    expect(start.rows[0]).toEqual([3, 3]);
  });

  it("refuses what is not a policy, and numbers that are not valid", () => {
    expect(() => Account.empty(global, {} as never)).toThrow(PolicyError);
    const bad = Account.empty(global, { ...keeping(3), protect: last(5) });
    expect(() => bad.feed(6, "prefill")).toThrow(/layer 0 may keep 3 rows but protects 5/);
  });
});

describe("planTurn", () => {
  it("reserves room for the most rows ever held, and does not change the start", () => {
    const start = Account.empty(global, keeping(10, every(3)));
    expect(planTurn(start, [30], 8)).toEqual({
      // The first token compresses, since 31 were read; two more gather before every next one.
      capacity: [
        [31, 31],
        [31, 31],
      ],
      held: [
        [30, 30],
        [30, 30],
      ],
      ...{ messageRows: [30], scratchRows: 30, positions: 38, evicted: 4 * 27, digests: expect.any(Int32Array) },
    });
    expect(start.seen).toBe(0);
  });

  it("counts ranks if positions are slots", () => {
    const slots: Policy = { ...keeping(10), positions: "slot" };
    expect(planTurn(Account.empty(global, slots), [30, 5], 8)).toMatchObject({
      positions: 30,
      messageRows: [30, 15],
      scratchRows: 30,
    });
    expect(planTurn(Account.empty(global, slots), [6], 100)).toMatchObject({ positions: 11, scratchRows: 6 });
  });

  it("keeps the rows that are held in a turn without a message", () => {
    const start = Account.empty(global, full()).feed(12, "prefill").account;
    expect(planTurn(start, [], 5)).toMatchObject({ scratchRows: 0, messageRows: [], positions: 17, evicted: 0 });
    expect(planTurn(start, [], 5).capacity.flat()).toEqual([17, 17, 17, 17]);
    expect(planTurn(start, [], 5).held.flat()).toEqual([12, 12, 12, 12]);
  });

  it("equals a run of the same steps, for any policy (seeds 1 to 30)", () => {
    for (let seed = 1; seed <= 30; seed++) {
      let state = seed;
      const next = (below: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
      const schedules = [
        whenOver(),
        afterPrefill(),
        every(1 + next(5)),
        (step: { seen: number; layer: number }) => (step.seen + step.layer) % 3 === 0,
      ];
      const policy: Policy = {
        ...keeping(1),
        budget: perHead(4 + next(9), 4 + next(9)),
        protect: first(next(4)),
        schedule: schedules[next(4)]!,
      };
      const messages = Array.from({ length: 1 + next(3) }, () => 1 + next(20));
      const empty = Account.empty(shape, policy);
      const start = next(2) ? empty.feed(1 + next(20), "prefill").account : empty;
      const plan = planTurn(start, messages, 12);
      let run = start;
      const most = shape.layers.map(() => [0, 0]);
      const note = (extra: number) =>
        run.rows.forEach((heads, layer) =>
          heads.forEach((rows, head) => void (most[layer]![head] = Math.max(most[layer]![head]!, rows + extra))),
        );
      for (const tokens of messages) {
        run = run.feed(tokens, "prefill").account;
        note(0);
      }
      expect(plan.held, `seed ${seed}`).toEqual(run.rows);
      for (let step = 0; step < 12; step++) {
        note(1);
        run = run.feed(1, "decode").account;
      }
      expect(plan.capacity, `seed ${seed}`).toEqual(most);
      expect(plan.evicted, `seed ${seed}`).toBe(run.evicted - start.evicted);
    }
  });
});

describe("bytes", () => {
  const slots: Policy = { ...keeping(10), positions: "slot" };
  const counting: Policy = { ...keeping(10), score: { ...recency, columns: ["one", "two"] } };

  it("of a row are K, V and its cells", () => {
    expect(planesOf([full()])).toEqual({ ranks: false, planes: 1, firstColumn: 1 });
    expect(planesOf([slots])).toEqual({ ranks: true, planes: 2, firstColumn: 2 });
    expect(planesOf([slots, counting])).toEqual({ ranks: true, planes: 4, firstColumn: 2 });
    expect([rowBytes(8, "f32", 1), rowBytes(8, "bf16", 4), rowBytes(64, "f16", 1)]).toEqual([68, 48, 260]);
  });

  it("of a cache are rows held, room, and tables", () => {
    const plan = { held: [[3, 4], [5, 6]], capacity: [[10, 10], [10, 10]] }; // biome-ignore format: rows
    const row = 2 * 8 * 2 + 4;
    const tables = (sequences: number) => 4 * sequences * (2 * 2 * 3 + 2 + 1);
    expect(cacheBytes(global, "bf16", [{ policy: full(), plan }])).toEqual({
      cache: 18 * row,
      room: 22 * row,
      tables: tables(1),
    });
    const two = cacheBytes(global, "bf16", [{ policy: full(), plan }, { policy: slots, plan }]); // biome-ignore format: two sequences
    expect(two).toEqual({ cache: 36 * (row + 4), room: 44 * (row + 4), tables: tables(2) });
    expect(tableBytes(global, 3)).toBe(tables(3));
  });

  it("of the scratch are one layer's rows, once more unrotated for slots", () => {
    const tables = 4 * (2 * 3 + 2 + 1);
    expect(scratchBytes(global, "f32", 100, [{ planes: 1, slot: false }])).toBe(200 * (2 * 32 + 4) + tables);
    expect(scratchBytes(global, "f16", 100, [{ planes: 2, slot: true }])).toBe(200 * (3 * 16 + 8) + tables);
    const several = [{ planes: 2, slot: true }, { planes: 1, slot: false }]; // biome-ignore format: two targets
    expect(scratchBytes(global, "f16", 100, several)).toBe(200 * (3 * 16 + 12) + tables);
  });

  it("at the peak are scratch and arenas, while old arenas give way to new ones", () => {
    const row = rowBytes(8, "bf16", 1);
    // biome-ignore format: rows
    const plan = (rows: number, ...messageRows: number[]) => {
      const capacity = [0, 1].map(() => [rows, rows]);
      return { policy: full(), plan: { held: [], capacity, messageRows } };
    };
    const scratch = (rows: number) => scratchBytes(global, "bf16", rows, [{ planes: 1, slot: false }]);
    const tables = tableBytes(global, 1);
    // A new cache: all arenas and the largest scratch.
    expect(peakBytes(global, "bf16", [plan(10, 50)])).toBe(40 * row + scratch(50) + tables);
    expect(peakBytes(global, "bf16", [plan(10, 50, 90)])).toBe(40 * row + scratch(90) + tables);
    // Larger old arenas are there when reading starts, with the first message's scratch.
    expect(peakBytes(global, "bf16", [plan(10, 50)], [400 * row, 300 * row])).toBe(700 * row + scratch(50) + tables);
    expect(peakBytes(global, "bf16", [plan(10, 50, 5000)], [400 * row, 300 * row])).toBe(
      40 * row + scratch(5000) + tables,
    );
    // One layer's gives way before the next grows.
    expect(peakBytes(global, "bf16", [plan(10, 50)], [4 * row, 300 * row])).toBe(
      (20 + 300) * row + scratch(50) + tables,
    );
    // Rows that move are in both for a while, one layer at a time.
    expect(peakBytes(global, "bf16", [plan(10)], [30 * row, 4 * row])).toBe((30 + 4 + 20) * row + tables);
    expect(peakBytes(global, "bf16", [plan(10)], [4 * row, 18 * row])).toBe((20 + 18 + 20) * row + tables);
  });
});
