// Prepares a fresh clone with Node and npm alone: the pnpm that package.json names, the packages of the lockfile, and a
// build. Prints one line per stage, and the whole log of a stage that fails. Quick if nothing changed.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { engines, packageManager } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

const [major, minor] = engines.node.match(/\d+/g).map(Number);
const [hasMajor, hasMinor] = process.versions.node.split(".").map(Number);
if (hasMajor < major || (hasMajor === major && hasMinor < minor)) {
  console.error(
    `Ziggurat needs Node ${major}.${minor} or newer; this is Node ${process.versions.node} at ${process.execPath}.`,
  );
  process.exit(1);
}

// npx downloads pnpm once and puts it on the PATH of its child processes, where turbo looks for it. Versions are exact,
// so a cached package is as good as a downloaded one.
const env = {
  ...process.env,
  npm_config_prefer_offline: "true",
  npm_config_update_notifier: "false",
  TURBO_TELEMETRY_DISABLED: "1",
};

/** Runs pnpm, and prints the stage with its seconds; if pnpm fails, prints its log and exits. */
const stage = (what, ...args) => {
  const started = performance.now();
  process.stdout.write(`${what} ... `);
  const windows = process.platform === "win32";
  const { status, error, stdout, stderr } = spawnSync(windows ? "npx.cmd" : "npx", ["--yes", packageManager, ...args], {
    cwd: root,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
    shell: windows,
  });
  if (!error && status === 0) {
    console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`);
    return;
  }
  console.log("failed");
  console.error(`${stdout ?? ""}${stderr ?? ""}`);
  if (error) console.error(`npx could not be started: ${error.message}. It comes with npm, which comes with Node.`);
  console.error(`Setup stopped: "pnpm ${args.join(" ")}" failed. The log is above.`);
  process.exit(status || 1);
};

stage("installing packages", "install", "--frozen-lockfile", "--prefer-offline");
stage("building", "exec", "turbo", "run", "build", "declarations", "--output-logs=errors-only");
