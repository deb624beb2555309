import type { Backend } from "@ziggurat/tensor";
// Imported by path, because the entry of the package needs vitest.
import { cases, runCase } from "@ziggurat/testing/cases";

/**
 * Runs every case of `ops`, or of all ops, once, whose name contains one of `parts`, if any are given. Prints and
 * counts the failures.
 */
export async function conformance(
  name: string,
  backend: Backend,
  ops: readonly string[],
  parts: readonly string[],
): Promise<number> {
  const since = performance.now();
  const failures: string[] = [];
  const chosen = cases.filter(
    ({ op, name }) =>
      (ops.length === 0 || ops.includes(op)) && (parts.length === 0 || parts.some((part) => name.includes(part))),
  );
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
