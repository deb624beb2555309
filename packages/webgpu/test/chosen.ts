import type { Backend } from "@ziggurat/tensor";
import { type Case, cases, runCase } from "@ziggurat/testing";
import { afterAll, describe, expect } from "vitest";
import { testWith } from "../../../scripts/requirements.js";
import { adapterThere } from "./gpu.js";

/**
 * Runs the conformance cases whose names start with `names`, one each, on a backend from `open`. `look` is called
 * before each, to assert that the case tests what it was chosen for.
 */
export function chosenCases(
  title: string,
  names: readonly string[],
  open: () => Promise<Backend>,
  look: (backend: Backend, test: Case) => void,
): void {
  describe(title, () => {
    let backend: Backend | undefined;
    afterAll(() => backend?.dispose());
    for (const name of names) {
      testWith(
        adapterThere,
        name,
        async () => {
          backend ??= await open();
          const found = cases.filter((test) => test.name.startsWith(name));
          expect(found).toHaveLength(1);
          look(backend, found[0]!);
          await runCase(backend, found[0]!, 1);
        },
        120_000,
      );
    }
  });
}
