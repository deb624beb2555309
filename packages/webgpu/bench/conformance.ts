import type { Backend } from "@ziggurat/tensor";
// Imported by path, because the entry of the package needs vitest.
import { cases, runCase } from "@ziggurat/testing/cases";

/** Runs every case of `ops`, or of all ops, once. Prints and counts the failures. */
export async function conformance(name: string, backend: Backend, ops: readonly string[]): Promise<number> {
  const since = performance.now();
  const failures: string[] = [];
  const chosen = ops.length > 0 ? cases.filter(({ op }) => ops.includes(op)) : cases;
  for (const test of chosen) {
    try {
      await runCase(backend, test, 1);
    } catch (error) {
      failures.push(String(error));
    }
  }
  const seconds = ((performance.now() - since) / 1000).toFixed(1);
  console.log(`conformance, ${name}: ${chosen.length - failures.length} of ${chosen.length} cases pass, ${seconds} s`);
  for (const failure of failures.slice(0, 40)) console.log(`  ${failure}`);
  return failures.length;
}
