import { execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { rootManifest } from "../../../scripts/workspace.js";

// The command as a user runs it: the built file, in a process for itself.

export const main = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Builds the command and all that it imports; quick if nothing changed. For `beforeAll`, with {@link buildTimeout}. */
export async function build(): Promise<void> {
  const turbo = ["exec", "turbo", "run", "build", "--filter=@ziggurat/cli...", "--output-logs=errors-only"];
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: "1", npm_config_prefer_offline: "true" };
  await promisify(execFile)("npx", ["--yes", rootManifest.packageManager!, ...turbo], { cwd: root, env });
}
export const buildTimeout = 600_000;

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

export interface CommandOptions {
  /** What comes in by stdin. A function is asked for more for as long as the command reads. */
  readonly input?: string | (() => string);
  /** Whether ctrl-C is pressed when the first output comes. */
  readonly interruptOnOutput?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** A file that stdout goes to, by its descriptor. */
  readonly stdout?: number;
}

export const ziggurat = (
  args: readonly string[],
  { input = "", interruptOnOutput = false, env = {}, stdout }: CommandOptions = {},
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], {
      stdio: ["pipe", stdout ?? "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    let out = "";
    let error = "";
    child.stdout?.on("data", (data) => {
      // Once: a second ctrl-C ends the process at once.
      if (interruptOnOutput && out === "") child.kill("SIGINT");
      out += data;
    });
    child.stderr!.on("data", (data) => {
      error += data;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, error }));
    const stdin = child.stdin!;
    stdin.on("error", () => {});
    if (typeof input === "string") return void stdin.end(input);
    const more = () => {
      while (stdin.writable && stdin.write(input()));
    };
    stdin.on("drain", more);
    more();
  });
