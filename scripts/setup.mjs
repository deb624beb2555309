// Makes a fresh clone ready with Node and npm alone: the pnpm that package.json names, the packages of the lockfile, a
// build. Quick where nothing changed.
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

// npx downloads pnpm once and puts it on the path of what it starts, where turbo looks for it. Versions are exact, so
// what is in a cache is right.
const env = {
  ...process.env,
  npm_config_prefer_offline: "true",
  npm_config_update_notifier: "false",
  TURBO_TELEMETRY_DISABLED: "1",
};

const pnpm = (...args) => {
  const windows = process.platform === "win32";
  const { status, error } = spawnSync(windows ? "npx.cmd" : "npx", ["--yes", packageManager, ...args], {
    cwd: root,
    env,
    stdio: "inherit",
    shell: windows,
  });
  if (error) console.error(`npx could not be started: ${error.message}. It comes with npm, which comes with Node.`);
  if (status !== 0) {
    console.error(`\nSetup stopped: "pnpm ${args.join(" ")}" failed. The reason is above.`);
    process.exit(status ?? 1);
  }
};

pnpm("install", "--frozen-lockfile", "--prefer-offline");
pnpm("exec", "turbo", "run", "build", "declarations", "--output-logs=errors-only");
