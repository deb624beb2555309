import { fork } from "node:child_process";
import type { LoadReport } from "./questions.js";

/**
 * The report of a process that does its one thing when it starts, and the milliseconds since 1970 when it was started.
 */
function report(script: string, args: readonly string[]): Promise<LoadReport & { readonly startedAt: number }> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.timeOrigin + performance.now();
    const child = fork(script, [...args], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let problem = "";
    child.stderr?.on("data", (text: Buffer) => void (problem += text.toString()));
    child.once("message", (message) => resolve({ ...(message as LoadReport), startedAt }));
    child.once("exit", (code) =>
      reject(new Error(`${script} ended with code ${code}: ${problem.trim().slice(-2000)}`)),
    );
  });
}

/**
 * Loading in a fresh process beside a plain read of the file. Times in seconds, the first token's from the start of the
 * process on; bytes.
 */
export async function loadOnce(
  script: (name: string) => string,
  model: string,
  threads: number,
  prompt: readonly number[],
): Promise<Readonly<Record<string, number>>> {
  const plain = await report(script("plain-read"), [model]);
  const loaded = await report(script("load"), [model, String(threads), JSON.stringify(prompt)]);
  return {
    "load.read": plain.read!,
    "load.first": (loaded.firstTokenAt! - loaded.startedAt) / 1000,
    "load.peak": loaded.peakBytes,
    "load.node": plain.peakBytes,
    "load.weights": loaded.weightBytes!,
    "load.cache": loaded.cacheBytes!,
  };
}
