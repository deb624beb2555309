// Checks types, lint and every test, lists each skip with its reason, and ends with one line of totals.
import { spawnSync } from "node:child_process";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { startVitest } from "vitest/node";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

const tally = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const skips = new Map();

const count = (what, passed) => {
  tally[passed ? "passed" : "failed"]++;
  if (!passed) failures.push(what);
};

for (const [what, bin, ...args] of [
  ["types", "typescript/bin/tsc", "--noEmit"],
  ["lint", "@biomejs/biome/bin/biome", "check", "--error-on-warnings", "."],
]) {
  console.log(`\n${what}: ${args.join(" ")}`);
  count(what, spawnSync(process.execPath, [`node_modules/${bin}`, ...args], { stdio: "inherit" }).status === 0);
}

const vitest = await startVitest("test", process.argv.slice(2), {
  watch: false,
  update: "none",
  reporters: ["default"],
});
for (const module of vitest.state.getTestModules()) {
  const file = relative(root, module.moduleId);
  let tests = 0;
  for (const test of module.children.allTests()) {
    tests++;
    const { state, note } = test.result();
    const what = `${file} > ${test.fullName}`;
    if (state !== "skipped") count(what, state === "passed");
    else if (note === undefined)
      count(`${what}: skips without a reason; call context.skip("reason") or use scripts/requirements.ts`, false);
    else {
      tally.skipped++;
      skips.set(note, [...(skips.get(note) ?? []), what]);
    }
  }
  // Errors of a file or a suite outside of its tests.
  const suites = [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0);
  for (const suite of suites) count(`${file} > ${suite.fullName ?? "the file"}`, false);
  if (tests === 0 && suites.length === 0) count(`${file}: has no test`, false);
}
for (const error of vitest.state.getUnhandledErrors())
  count(`error outside of the tests: ${error?.message ?? error}`, false);
if (tally.passed + tally.failed + tally.skipped < 3) count("Vitest ran no test", false);
await vitest.close();

for (const [reason, tests] of skips) console.log(`\nskipped, ${reason}\n  ${tests.join("\n  ")}`);
if (failures.length > 0) console.log(`\nfailed\n  ${failures.join("\n  ")}`);
console.log(`\n${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
process.exit(tally.failed === 0 ? 0 : 1);
