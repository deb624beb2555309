import { type ChildProcess, fork } from "node:child_process";

/**
 * A separate process that answers one question at a time. Between questions it is stopped, so that it takes no time
 * from another one.
 */
export class Child {
  readonly #process: ChildProcess;
  #problem = "";
  #ended: string | undefined;

  /** `script` runs under this Node, without flags. */
  constructor(script: string, args: readonly string[]) {
    this.#process = fork(script, [...args], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#process.stderr?.on(
      "data",
      (text: Buffer) => void (this.#problem = (this.#problem + text.toString()).slice(-2000)),
    );
    this.#process.once("exit", (code, signal) => void (this.#ended = `ended with ${signal ?? `code ${code}`}`));
  }

  /** Rejects if the process ends or gives no answer within `seconds`. */
  async ask<Answer>(question: object, seconds: number): Promise<Answer> {
    const child = this.#process;
    if (this.#ended) throw new Error(`${this.#ended}: ${this.#problem.trim()}`);
    child.kill("SIGCONT");
    const answer = await new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer within ${seconds} s: ${this.#problem.trim()}`)),
        1000 * seconds,
      );
      const onExit = () => reject(new Error(`the process ended: ${this.#problem.trim()}`));
      child.once("exit", onExit);
      child.once("message", (message) => {
        child.off("exit", onExit);
        clearTimeout(timer);
        resolve(message as Answer);
      });
      child.send(question);
    });
    child.kill("SIGSTOP");
    return answer;
  }

  end(): void {
    this.#process.kill("SIGKILL");
  }
}

/** In the process: answers each question by `answer`. */
export function answering<Question>(answer: (question: Question) => Promise<object>): void {
  process.on("message", (question) => {
    answer(question as Question).then(
      (reply) => process.send!(reply),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
