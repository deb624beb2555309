import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { requirements } from "../requirements.js";
import { root } from "../workspace.js";

// What keeps tests from passing by not running: `.ci/run`, and the setting for missing snapshots.

const names = requirements.map(({ name }) => name);

/** Runs `.ci/run` with a command that prints its environment, and returns exit code, stderr and that environment. */
function ci(variables: Readonly<Record<string, string>>) {
  const print = "console.log(JSON.stringify(process.env))";
  const { status, stdout, stderr } = spawnSync(join(root, ".ci/run"), [process.execPath, "-e", print], {
    env: { PATH: process.env.PATH!, HOME: process.env.HOME ?? tmpdir(), ...variables },
    encoding: "utf8",
  });
  return { status, stderr, env: stdout === "" ? {} : (JSON.parse(stdout) as Record<string, string>) };
}

describe(".ci/run", () => {
  test("runs everything, and requires the parts that it does not leave out by name", () => {
    const { status, env } = ci({
      ZIGGURAT_WITHOUT: names.filter((name) => name !== "models").join(","),
      ZIGGURAT_MODELS: root,
    });
    expect(status).toBe(0);
    expect(env).toMatchObject({ ZIGGURAT_TESTS: "full", ZIGGURAT_REQUIRE: "models" });
    expect(ci({ ZIGGURAT_WITHOUT: names.join(",") }).env).toMatchObject({ ZIGGURAT_REQUIRE: "" });
  });

  // A variable that is set but empty hides the part, so nothing is installed here.
  const hidden = { chromium: "ZIGGURAT_CHROMIUM", vulkan: "ZIGGURAT_VULKAN", models: "ZIGGURAT_MODELS" };
  const variables: Readonly<Record<string, string>> = { ...hidden, nvcc: "ZIGGURAT_NVCC_ENV", compiler: "CXX" };
  test.each(names)("fails if %s is missing", (name) => {
    const others = names.filter((other) => other !== name).join(",");
    const { status, stderr, env } = ci({ ZIGGURAT_WITHOUT: others, [variables[name]!]: "" });
    expect(status).toBe(1);
    expect(stderr).toContain(`Missing: ${name}.`);
    expect(stderr).toContain(`ZIGGURAT_WITHOUT=${name}\n`);
    expect(env).toEqual({});
  });

  test("refuses to leave out a part that it does not know", () => {
    const { status, stderr } = ci({ ZIGGURAT_WITHOUT: "modles" });
    expect(status).toBe(1);
    expect(stderr).toBe(`ZIGGURAT_WITHOUT names modles; it may name ${names.join(" ")}\n`);
  });
});

describe("a missing snapshot", () => {
  const temp = mkdtempSync(join(tmpdir(), "ziggurat-snapshot-"));
  afterAll(() => rmSync(temp, { recursive: true, force: true }));

  test("fails the test and is not written", () => {
    const folder = join(temp, "packages/some/test");
    mkdirSync(folder, { recursive: true });
    const body = `test("text", async () => { await expect("some text").toMatchFileSnapshot("missing.txt"); });\n`;
    writeFileSync(join(folder, "some.test.ts"), body);
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const args = ["run", "--config", join(root, "vitest.config.ts"), "--root", temp, "--globals"];
    // With CI set, vitest writes no snapshot whatever its configuration says.
    const { CI: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, [vitest, ...args], {
      cwd: root,
      env,
      encoding: "utf8",
    });
    expect(status).toBe(1);
    expect(`${stdout}${stderr}`).toMatch(/Snapshot .* mismatched|written only/i);
    expect(existsSync(join(folder, "missing.txt"))).toBe(false);
    expect(readdirSync(folder)).toEqual(["some.test.ts"]);
  });
});
