import { type Backend, type OpName, opNames } from "@ziggurat/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cases } from "./cases/index.js";
import { testContract } from "./contract.js";
import { runCase } from "./run-case.js";

export interface Variant {
  readonly name: string;
  readonly create: () => Promise<Backend>;
  /**
   * The ops that the variant affects, if it is known to affect no others and not the contract. Default: all.
   */
  readonly ops?: readonly OpName[];
}

export interface BackendSuite extends Variant {
  /** The same backend with optional features masked. Each runs the whole suite, or its `ops`. */
  readonly variants?: readonly Variant[];
  /** Seed of the random data; every failure prints it. Default 1. */
  readonly seed?: number;
  /** Whether operands start at addresses where vector loads are aligned. Default: random for each case. */
  readonly aligned?: boolean;
}

/**
 * The conformance suite, for a vitest file: every op of the catalogue over odd shapes, all dtypes, ties and edges,
 * compared with the float64 reference, and the contract of `Backend` itself.
 */
export function testBackend({ name, create, variants = [], seed = 1, aligned }: BackendSuite): void {
  for (const variant of [
    { name, create },
    ...variants.map((other) => ({ ...other, name: `${name}, ${other.name}` })),
  ]) {
    describe(variant.name, () => {
      let backend: Backend;
      beforeAll(async () => {
        backend = await variant.create();
      });
      afterAll(() => backend?.dispose());

      for (const op of variant.ops ?? opNames) {
        describe(op, () => {
          const tests = cases.filter((test) => test.op === op);
          it("has cases", () => {
            expect(tests.length).toBeGreaterThan(0);
          });
          for (const test of tests) {
            it(test.name, () => runCase(backend, test, seed, aligned));
          }
        });
      }
      if (!variant.ops) testContract(variant.create);
    });
  }
}
