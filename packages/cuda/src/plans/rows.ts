import { at, int, over, type Plan } from "../launch.js";
import { checkHeadSize } from "./attention.js";

// Ops that choose, move and count rows.

const advance: Plan<"advance"> = ({ repeat, sequences, width, by }) => {
  const elements = repeat * sequences * width;
  return {
    launches: [
      {
        ...{ file: "advance", kernel: "advance", grid: [over(elements, 256)], threads: 256 },
        args: [at("counter"), at("ended"), ...int(elements, sequences, width, by)],
      },
    ],
  };
};

const topk: Plan<"topk"> = ({ heads, capacity, most }) => {
  const operands = ["scores", "positions", "offset", "length", "keep", "rows", "count"];
  return {
    launches: [
      {
        file: "topk",
        kernel: "topk",
        grid: [heads],
        threads: 1024,
        args: [...operands.map((name) => at(name)), ...int(capacity, most)],
      },
    ],
  };
};

const apportion: Plan<"apportion"> = ({ sequences, kvHeads, capacity }) => {
  const operands = ["scores", "positions", "offset", "length", "limits", "keep"];
  return {
    launches: [
      {
        ...{ file: "apportion", kernel: "apportion", grid: [sequences], threads: 1024 },
        args: [...operands.map((name) => at(name)), ...int(kvHeads, capacity)],
      },
    ],
  };
};

const order: Plan<"order"> = ({ heads, capacity }) => ({
  launches: [
    {
      ...{ file: "order", kernel: "order", grid: [over(capacity, 256), heads], threads: 256 },
      args: [at("positions"), at("offset"), at("length"), at("rows"), at("count"), ...int(capacity)],
    },
  ],
});

const gather: Plan<"gather"> = (spec, { aligned }) => {
  const { heads, most, headSize, arenaRows, targetRows, planes, kv, rotary, tableRows, ranks } = spec;
  const sources = ["keys", "values", "cells", "offset", "rows", "count", "table"];
  const targets = ["targetKeys", "targetValues", "targetCells", "targetOffset", "targetLength"];
  const vector = aligned && (headSize * (kv === "f32" ? 4 : 2)) % 16 === 0;
  return {
    launches: [
      {
        ...{ file: "gather", kernel: `gather_${kv}`, grid: [over(most, 8), heads], threads: 256 },
        args: [
          ...[...sources, ...targets].map((name) => at(name)),
          ...int(most, headSize, arenaRows, targetRows, planes, rotary, tableRows, ranks, vector),
        ],
      },
    ],
  };
};

const evict: Plan<"evict"> = ({ sequences, kvHeads, most, headSize, arenaRows, planes, kv, ordered, ranks }) => {
  checkHeadSize("evict", headSize);
  const operands = ["keys", "values", "cells", "offset", "length", "rows", "count", "ended"];
  const words = (headSize * (kv === "f32" ? 4 : 2)) / 4;
  return {
    launches: [
      {
        ...{ file: "evict", kernel: "evict", grid: [sequences * kvHeads], threads: 1024 },
        args: [...operands.map((name) => at(name)), ...int(kvHeads, most, words, arenaRows, planes, ordered, ranks)],
      },
    ],
  };
};

export const rows = { advance, topk, apportion, order, gather, evict };
