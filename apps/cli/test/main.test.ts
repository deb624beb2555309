import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkpoint, HubServer, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { pebble } from "@ziggurat/pebble";
import { openModel } from "@ziggurat/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { build, buildTimeout, main, ziggurat } from "./command.js";

const texts = fileURLToPath(new URL("../texts/README.md", import.meta.url));
let folder: string;
beforeAll(async () => {
  await build();
  folder = await mkdtemp(join(tmpdir(), "ziggurat-cli-"));
}, buildTimeout);
afterAll(() => rm(folder, { recursive: true, force: true }));

const text = async (name: string, content: string | Uint8Array): Promise<string> => {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
};

/** A prompt of about 300 tokens with one fact in it. */
const story = (): string => {
  const line = "The garden was quiet and the old wall stood in the sun.";
  return [...Array(9).fill(line), "Clara lives in Vienna.", ...Array(9).fill(line)].join("\n");
};

interface Compared {
  readonly model: string;
  readonly backend: string;
  readonly promptTokens: number;
  readonly runs: readonly {
    readonly policy: string;
    readonly keep: number | null;
    readonly answer: string | null;
    readonly expected: string | null;
    readonly correct: boolean | null;
    readonly active: boolean;
    readonly rowsPerLayer: readonly number[];
    readonly kvBytes: number;
    readonly roomBytes: number;
    readonly kvPeakBytes: number;
    readonly prefillTokensPerSecond: number;
    readonly decodeTokensPerSecond: number;
    readonly policySeconds: number | null;
    readonly seed?: number;
  }[];
  readonly refusals: readonly { readonly policy: string; readonly budget: string; readonly refused: string }[];
  readonly scoredTokens?: number;
  readonly question: string | null;
  readonly seconds: number;
  readonly summary?: readonly {
    readonly policy: string;
    readonly documents: number;
    readonly right: number;
    readonly share: number;
  }[];
}

type Scored = Compared["runs"][number] & {
  readonly perplexity: number;
  readonly scoredTokens: number;
  readonly timedTokens: number;
};

const compared = async (...args: string[]): Promise<Compared> => {
  const { code, out, error } = await ziggurat(["compare", "--json", ...args]);
  expect(error).toBe("");
  expect(code).toBe(0);
  return JSON.parse(out) as Compared;
};

// Bytes of one row of Pebble's 16 layers and 2 KV heads in bf16: K, V and the position.
const row = 16 * 2 * (2 * 64 * 2 + 4);

describe("help", () => {
  it.each([[], ["compare"], ["generate"], ["chat"], ["inspect"]])("ziggurat %s --help", async (...command) => {
    const { code, out, error } = await ziggurat([...command, "--help"]);
    expect([code, error]).toEqual([0, ""]);
    expect(out).toContain(command.length === 0 ? "Start with: ziggurat compare --demo" : "Examples:");
    for (const line of out.split("\n")) expect([...line].length, line).toBeLessThanOrEqual(100);
  });
});

describe("the same flags in every command", () => {
  it.each([["compare"], ["generate"], ["chat"], ["inspect"]])("ziggurat %s", async (command) => {
    const { out } = await ziggurat([command, "--help"]);
    for (const flag of [
      "--policy <list>",
      "--keep <list>",
      "--tokens <n>",
      "--window <n>",
      "--sinks <n>",
      "--beta <n>",
    ])
      expect(out).toContain(flag);
  });
});

describe("compare", () => {
  const policies = "full,streaming,h2o,snapkv,pyramidkv,random,sinks,snapkv:keep=9999";

  it("answers a text under every policy, and holds the bytes that it says", async () => {
    const path = await text("story.txt", story());
    const ask = [
      "--text",
      path,
      "--question",
      "Where does Clara live?",
      "--expect",
      "Vienna",
      "--keep",
      "25%",
      "--policy",
      policies,
    ];
    const { model, backend, promptTokens, runs } = await compared(...ask);
    expect([model, backend]).toEqual(["pebble", "cpu"]);
    expect(promptTokens).toBeGreaterThan(200);
    expect(runs.map(({ policy }) => policy)).toEqual([...policies.replace(":keep=9999", "").split(",")]);
    const keep = Math.round(promptTokens / 4);
    for (const run of runs) {
      expect(run.rowsPerLayer).toHaveLength(16);
      expect(run.correct, run.policy).toBe(run.answer!.trim() === "Vienna");
      for (const number of [run.prefillTokensPerSecond, run.decodeTokensPerSecond]) expect(number).toBeGreaterThan(0);
      expect(run.policySeconds).toBeGreaterThanOrEqual(0);
      expect(run.kvPeakBytes).toBeGreaterThan(run.kvBytes + run.roomBytes);
      const rows = run.rowsPerLayer.reduce((a, b) => a + b, 0) / 16;
      const whole = run.policy === "full" || run.keep === 9999;
      expect(rows, run.policy).toBe(whole ? promptTokens : keep);
      expect(run.active).toBe(!whole);
      // One more cell a row for the rank of StreamingLLM and for the sums of H2O; tables beside the rows.
      const cells = run.policy === "streaming" || run.policy === "h2o" ? 4 * 16 * 2 : 0;
      const tables = run.kvBytes - rows * (row + cells);
      expect(tables, run.policy).toBe(4 * (3 * 16 * 2 + 2 + 1));
    }
    expect(runs[0]!.answer).toBe("Vienna");
    expect(runs.find(({ policy }) => policy === "pyramidkv")!.rowsPerLayer[0]).toBeGreaterThan(keep);
  });

  it("runs each alone with the same answers and rows, and its own peaks", async () => {
    const task = [
      "--task",
      "needles",
      "--tokens",
      "400",
      "--seed",
      "3",
      "--policy",
      "full,snapkv,h2o",
      "--keep",
      "20%",
    ];
    const shared = await compared(...task);
    const alone = await compared(...task, "--isolate");
    // biome-ignore format: a list
    const facts = ({ runs }: Compared) =>
      runs.map(({ policy, answer, correct, rowsPerLayer, kvBytes, roomBytes }) => {
        return { policy, answer, correct, rowsPerLayer, kvBytes, roomBytes };
      });
    expect(facts(alone)).toEqual(facts(shared));
    for (const [at, run] of alone.runs.entries()) {
      expect(run.policySeconds).toBeGreaterThanOrEqual(0);
      expect(run.kvPeakBytes).toBeLessThanOrEqual(shared.runs[at]!.kvPeakBytes);
    }
  });

  it("asks later, when the rows have been chosen", async () => {
    const { runs, promptTokens } = await compared(
      "--task",
      "table",
      "--tokens",
      "300",
      "--policy",
      "full,snapkv",
      "--keep",
      "20%",
      "--ask-later",
    );
    expect(runs.map(({ active }) => active)).toEqual([false, true]);
    expect(runs[0]!.rowsPerLayer).toEqual(Array(16).fill(promptTokens));
    expect(runs[0]!.correct).toBe(true);
    expect(runs[1]!.rowsPerLayer).toEqual(Array(16).fill(Math.round(promptTokens / 5)));
    expect(runs.map(({ policySeconds }) => policySeconds)).toEqual([null, null]);
  });

  it("scores what follows if nothing is asked, the same in one prefill and alone", async () => {
    const path = await text("long.txt", `${story()}\n`.repeat(3));
    const flags = [
      "--text",
      path,
      "--tokens",
      "600",
      "--score",
      "40",
      "--policy",
      "full,h2o,snapkv,snapkv:keep=999",
      "--keep",
      "50",
    ];
    const shared = await compared(...flags);
    expect([shared.promptTokens, shared.scoredTokens, shared.question]).toEqual([600, 40, null]);
    const [whole, h2o, snapkv, inactive] = shared.runs as [Scored, Scored, Scored, Scored];
    // The story repeats: a policy that still holds it is hardly surprised.
    expect(whole.perplexity).toBeGreaterThan(1);
    expect(inactive.perplexity).toBe(whole.perplexity);
    for (const run of [h2o, snapkv]) expect(Math.abs(run.perplexity - whole.perplexity)).toBeGreaterThan(1e-3);
    for (const { scoredTokens, answer, correct, timedTokens } of shared.runs as Scored[]) {
      expect({ scoredTokens, answer, correct, timedTokens }).toEqual({
        scoredTokens: 40,
        answer: null,
        correct: null,
        timedTokens: 40,
      });
    }
    const alone = await compared(...flags, "--isolate");
    expect(alone.runs.map(({ policy, rowsPerLayer, kvBytes }) => ({ policy, rowsPerLayer, kvBytes }))).toEqual(
      shared.runs.map(({ policy, rowsPerLayer, kvBytes }) => ({ policy, rowsPerLayer, kvBytes })),
    );
    alone.runs.forEach(
      (run, at) => void expect((run as Scored).perplexity).toBeCloseTo((shared.runs[at] as Scored).perplexity, 4),
    );
    const { out } = await ziggurat(["compare", "--text", path, "--policy", "full,streaming"]);
    expect(out).toMatch(/and the \d+ that follow, one prefill/);
    expect(out).toMatch(/^full +\d+\.\d{3} +█{16} /m);
  });

  it("counts right answers over several documents", async () => {
    const { runs, summary } = await compared(
      "--task",
      "labels",
      "--tokens",
      "256",
      "--repeat",
      "2",
      "--seed",
      "5",
      "--policy",
      "full,random:keep=40",
    );
    expect(runs.map(({ policy, seed }) => [policy, seed])).toEqual([["full", 5], ["random", 5], ["full", 6], ["random", 6]]); // biome-ignore format: a list
    expect(summary!.map(({ policy, documents }) => [policy, documents])).toEqual([["full", 2], ["random", 2]]); // biome-ignore format: a list
    for (const { policy, right, share } of summary!) {
      expect(right).toBe(runs.filter((run) => run.policy === policy && run.correct).length);
      expect(share).toBe(right / 2);
    }
  });

  it("has a demonstration: seven policies, and four at 128 rows", async () => {
    const { runs } = await compared("--demo", "--tokens", "400", "--max-tokens", "8");
    const seven = ["full", "streaming", "h2o", "snapkv", "pyramidkv", "random", "sinks"];
    expect(runs.map(({ policy }) => policy)).toEqual([...seven, "streaming", "h2o", "snapkv", "pyramidkv"]);
    expect(runs.slice(-4).map(({ keep }) => keep)).toEqual([128, 128, 128, 128]);
  });

  it("prints a table that fits 100 columns and says what was inactive", async () => {
    const { code, out, error } = await ziggurat([
      "compare",
      "--task",
      "needle",
      "--tokens",
      "256",
      "--policy",
      "full,pyramidkv",
      "--keep",
      "64,4096",
    ]);
    expect([code, error]).toEqual([0, ""]);
    const lines = out.split("\n");
    const start = lines.findIndex((line) => line.startsWith("policy"));
    const rows = lines.slice(start, start + 4);
    expect(rows.map((line) => line.split(/\s+/).slice(0, 2).join(" "))).toEqual([
      "policy keep",
      expect.stringMatching(/^full "/),
      "pyramidkv 64",
      "pyramidkv 4096",
    ]);
    for (const line of lines) expect([...line].length, line).toBeLessThanOrEqual(100);
    expect(rows[1]).toMatch(/ █{16} /);
    expect(rows[2]).toMatch(/ [▁▂▃▄▅▆▇█]{16} /);
    expect(out).toContain("inactive, nothing was evicted because the prompt fits the budget: pyramidkv 4096.");
    expect(out).toContain("generated: needle, seed 1");
    expect(out).toContain("One document says little");
  });
});

describe("a policy that refuses its budget", () => {
  const needle = ["--task", "needle", "--tokens", "200", "--max-tokens", "4"];

  it("is left out, the others run, and the report says why", async () => {
    const args = [...needle, "--policy", "full,snapkv:keep=20,h2o,streaming:keep=4", "--keep", "60"];
    const { code, out, error } = await ziggurat(["compare", ...args]);
    expect([code, error]).toEqual([0, ""]);
    expect(out).toMatch(/^full /m);
    expect(out).toMatch(/^h2o +60 /m);
    expect(out).toMatch(/^snapkv 20 did not run: snapkv: keep is 20; it must be more than window, 32$/m);
    expect(out).toMatch(/^streaming 4 did not run: streaming: keep is 4; it must be more than sinks, 4$/m);
    const { runs, refusals } = await compared(...args);
    expect(runs.map(({ policy }) => policy)).toEqual(["full", "h2o"]);
    expect(refusals).toEqual([
      { policy: "snapkv", budget: "20", refused: "snapkv: keep is 20; it must be more than window, 32", seed: 1 },
      { policy: "streaming", budget: "4", refused: "streaming: keep is 4; it must be more than sinks, 4", seed: 1 },
    ]);
  });

  it("does not if it is a share: a short prompt gets the fewest rows that the policy accepts", async () => {
    const path = await text("short.txt", story().slice(0, 400));
    const args = ["--text", path, "--question", "Where?", "--max-tokens", "4", "--policy", "full,snapkv,h2o,streaming"];
    const { runs, refusals, promptTokens } = await compared(...args);
    expect(refusals).toEqual([]);
    const share = Math.round(0.12 * promptTokens);
    expect(share).toBeLessThan(33);
    expect(runs.map(({ policy, keep }) => [policy, keep])).toEqual([
      ["full", null],
      ["snapkv", 33],
      ["h2o", share],
      ["streaming", share],
    ]);
    expect(runs[1]!.rowsPerLayer).toEqual(Array(16).fill(33));
    const { out } = await ziggurat(["compare", ...args]);
    expect(out.replaceAll(/\s+/g, " ")).toContain(
      "raised to the fewest rows that the policy accepts, more than the share of so short a prompt: snapkv 12%: 33.",
    );
  });
});

describe("input and output without an end", () => {
  it.each([
    ["generate", "--text"],
    ["compare", "--question", "Who?", "--text"],
  ])("%s refuses an endless text", async (...args) => {
    const { code, out, error } = await ziggurat([...args, "-"], { input: () => "all work and no play\n".repeat(3000) });
    expect([code, out, error]).toEqual([
      1,
      "",
      "error: --text: stdin is longer than 64 MB, which no model reads; shorten it\n",
    ]);
  });

  it("chat refuses a line without an end", async () => {
    const { code, out, error } = await ziggurat(["chat", "--json"], { input: () => "all work ".repeat(7000) });
    expect([code, out]).toEqual([1, ""]);
    expect(error).toBe("error: stdin: a line is longer than 4000000 characters, which no model reads; shorten it\n");
  });

  it("chat ends at the first error of input from elsewhere", async () => {
    const { code, out, error } = await ziggurat(["chat", "--max-tokens", "2", "--max-cache-mb", "3"], {
      input: () => `${story().replaceAll("\n", " ")}\n`,
    });
    expect(code).toBe(1);
    expect(out.length).toBeLessThan(1000);
    expect(error).toMatch(/\nerror: the cache would take \d+ bytes at its peak; maxCacheBytes is 3000000\.[^\n]+\n$/);
  });

  it.skipIf(!existsSync("/dev/full"))("a full device is one line", async () => {
    const full = await open("/dev/full", "w");
    const { code, error } = await ziggurat(["inspect"], { stdout: full.fd });
    await full.close();
    expect([code, error]).toEqual([1, "error: the output cannot be written: ENOSPC: no space left on device, write\n"]);
  });
});

describe("bad input is one line on stderr, and exit code 1", () => {
  const needle = ["compare", "--task", "needle", "--tokens", "200"];
  it.each<[string, string[], string]>([
    ["keep 0", [...needle, "--keep", "0"], "--keep is 0; it must be a whole number"],
    ["keep 12.5", [...needle, "--keep", "12.5"], "--keep is 12.5; it must be a whole number"],
    ["keep NaN", [...needle, "--keep", "NaN"], '--keep is "NaN"; it must be'],
    [
      "keep below the window",
      [...needle, "--keep", "20", "--policy", "snapkv"],
      "snapkv: keep is 20; it must be more than window, 32",
    ],
    ["an even kernel", [...needle, "--kernel", "4"], "snapkv: kernel is 4; it must be odd"],
    [
      "an unknown policy",
      [...needle, "--policy", "snap"],
      'there is no policy "snap"; there are full, streaming, h2o, snapkv, pyramidkv, ',
    ],
    ["an option for nobody", [...needle, "--policy", "full", "--window", "8"], "--window is for snapkv, pyramidkv"],
    ["an unknown option", [...needle, "--polices", "full"], "unknown option '--polices' (Did you mean --policy?)"],
    ["an unknown command", ["compere"], "unknown command 'compere' (Did you mean compare?)"],
    ["no text", ["compare"], "there is no text to read; give --text FILE, --task"],
    ["two texts", [...needle, "--demo"], "--demo and --task cannot go together"],
    [
      "a missing file",
      ["compare", "--text", "nowhere.txt", "--question", "Who?"],
      '"nowhere.txt" cannot be read: there is no such file',
    ],
    ["an empty text", ["compare", "--text", "-", "--question", "Who?"], "stdin is empty"],
    ["an empty question", ["compare", "--text", "-", "--question", " "], "--question is empty"],
    [
      "nothing to score",
      ["compare", "--text", texts, "--tokens", "99999999"],
      "none follow the first 99999999; --tokens must leave some to follow: at most",
    ],
    ["a score of an answer", [...needle, "--score", "9"], "--score goes with --text and no --question"],
    ["a flag given twice", [...needle, "--keep", "5", "--keep", "6"], "--keep is given twice; give it once"],
    [
      "a flag given twice under two names",
      [...needle, "--policy", "full", "--policies", "h2o"],
      "--policy is given twice",
    ],
    ["an option given twice", [...needle, "--policy", "h2o:keep=5,keep=6"], "h2o: keep is given twice; give it once"],
    ["a budget for nobody", [...needle, "--policy", "full", "--keep", "5"], "--keep is for policies without a budget"],
    ["two policies for one answer", ["generate", "Hi", "--policy", "full,h2o:keep=9"], "generate takes one"],
    ["two budgets for one chat", ["chat", "--policy", "h2o", "--keep", "8,9"], "chat takes one"],
    ["tokens of no text", ["generate", "Hi", "--tokens", "9"], "--tokens is how much of --text to read"],
    [
      "a stop token beyond the vocabulary",
      ["generate", "Hi", "--stop-token", "4096"],
      '--stop-token is "4096"; the ids of pebble are from 0 to 4095',
    ],
    [
      "a stop text of several tokens",
      ["generate", "Hi", "--stop-token", "Vienna and Paris"],
      "tokens of pebble; name one token, or use --stop",
    ],
    ["an empty prompt", ["generate", ""], "the prompt is empty"],
    ["no prompt", ["generate"], "there is no prompt"],
    ["no budget", ["generate", "Hello", "--policy", "h2o"], "h2o: how many rows?"],
    ["a temperature below 0", ["generate", "Hello", "--temperature", "-1"], "temperature is -1; it must be"],
    ["a ceiling too small", ["generate", "Hello", "--max-cache-mb", "0.001"], "maxCacheBytes is 1000"],
    ["a share in a chat", ["chat", "--policy", "h2o:keep=5%"], "a chat has no one prompt to take a share of"],
    [
      "a system prompt that the template does not know",
      ["chat", "--system", "Be kind."],
      "Pebble knows the roles user and assistant only",
    ],
    ["a missing model", ["inspect", "--model", "nowhere"], '--model: there is no "nowhere"'],
    ["a model that is none", ["inspect", "--model", main], "--model:"],
    ["a context beyond the model's", ["inspect", "--tokens", "99999"], "--tokens is 99999; pebble reads 16384"],
    ["threads of a GPU", [...needle, "--backend", "webgpu", "--threads", "2"], "--threads is for the cpu backend"],
    ["no threads", [...needle, "--threads", "0"], "It must be a whole number from 1 to 64"],
    [
      "a prompt beyond the context",
      ["compare", "--task", "table", "--tokens", "17000", "--policy", "full"],
      "pebble reads 16384",
    ],
  ])("%s", async (_, args, message) => {
    const { code, out, error } = await ziggurat(args);
    expect(error).toContain(message);
    expect(error).toMatch(/^error: [^\n]+\n$/);
    expect([code, out]).toEqual([1, ""]);
  });

  it("a text that is not UTF-8", async () => {
    const path = await text("binary", Uint8Array.of(0xff, 0xfe, 0x00, 0x41));
    const { code, error } = await ziggurat(["generate", "--text", path]);
    expect([code, error]).toEqual([
      1,
      `error: --text: ${JSON.stringify(path.length > 60 ? `${path.slice(0, 57)}...` : path)} is no UTF-8 text\n`,
    ]);
  });

  it("shows the stack with --debug", async () => {
    const { code, error } = await ziggurat(["compare", "--debug"]);
    expect(code).toBe(1);
    expect(error).toMatch(/UsageError: .*\n\s+at /);
  });
});

describe("generate", () => {
  it("streams a text, and describes it on stderr", async () => {
    const { code, out, error } = await ziggurat([
      "generate",
      "--text",
      await text("story.txt", story()),
      "Where does Clara live?",
    ]);
    expect([code, out]).toEqual([0, "Vienna\n"]);
    expect(error).toMatch(/^\[\d+ \+ \d+ tokens, stop; full; K\/V [\d.]+ MB/);
  });

  it("reads messages, within a ceiling, as JSON", async () => {
    const path = await text(
      "chat.json",
      JSON.stringify([{ role: "user", content: `${story()}\nWhere does Clara live?` }]),
    );
    const { code, out } = await ziggurat([
      "generate",
      "--messages",
      path,
      "--policy",
      "snapkv",
      "--max-cache-mb",
      "1.5",
      "--max-tokens",
      "8",
      "--json",
    ]);
    expect(code).toBe(0);
    // biome-ignore format: names and their types
    interface Generated {
      readonly policy: string;
      readonly keep: number;
      readonly active: boolean;
      readonly kvPeakBytes: number;
      readonly rowsPerLayer: readonly number[];
    }
    const { policy, keep, active, kvPeakBytes, rowsPerLayer } = JSON.parse(out) as Generated;
    expect({ policy, active }).toEqual({ policy: "snapkv", active: true });
    expect(rowsPerLayer).toEqual(Array(16).fill(keep));
    expect(kvPeakBytes).toBeLessThanOrEqual(1.5e6);
    // One row more would not fit.
    expect(kvPeakBytes + row).toBeGreaterThan(1.5e6);
  });

  it("reads the first tokens of a text, within a share of them", async () => {
    const path = await text("story.txt", story());
    const args = [
      "generate",
      "--text",
      path,
      "Where?",
      "--keep",
      "50%",
      "--policy",
      "h2o",
      "--max-tokens",
      "2",
      "--json",
    ];
    const answer = async (...more: string[]) => {
      const { out, code, error } = await ziggurat([...args, ...more]);
      expect([code, error]).toEqual([0, ""]);
      return JSON.parse(out) as { promptTokens: number; keep: number };
    };
    const [whole, part, less] = [await answer(), await answer("--tokens", "100"), await answer("--tokens", "99")];
    expect(part.promptTokens - less.promptTokens).toBe(1);
    expect(part.promptTokens).toBeGreaterThan(100);
    expect(part.promptTokens).toBeLessThan(120);
    expect(whole.promptTokens).toBeGreaterThan(200);
    for (const { keep, promptTokens } of [whole, part, less]) expect(keep).toBe(Math.round(promptTokens / 2));
  });

  it("gives variables to the chat template", async () => {
    const model = join(folder, "templated");
    const files = fileURLToPath(new URL("../../../packages/pebble/files/", import.meta.url));
    await mkdir(model);
    for (const name of ["config.json", "model.safetensors", "tokenizer.json"])
      await symlink(join(files, name), join(model, name));
    const config = JSON.parse(await readFile(join(files, "tokenizer_config.json"), "utf8")) as object;
    const template =
      "{% if enable_thinking is false %}short {% elif style == 'long' %}long long long {% endif %}{{ messages[0].content }}";
    await writeFile(join(model, "tokenizer_config.json"), JSON.stringify({ ...config, chat_template: template }));
    const tokens = async (...args: string[]) => {
      const { out, code, error } = await ziggurat([
        "generate",
        "--model",
        model,
        "Hello",
        "--max-tokens",
        "1",
        "--json",
        ...args,
      ]);
      expect(code, error).toBe(0);
      return (JSON.parse(out) as { promptTokens: number }).promptTokens;
    };
    const plain = await tokens();
    expect(await tokens("--template-var", "enable_thinking=false")).toBeGreaterThan(plain);
    expect(await tokens("--template-var", "enable_thinking=true")).toBe(plain);
    expect(await tokens("--template-var", "enable_thinking=true", "--template-var", "style=long")).toBeGreaterThan(
      plain + 2,
    );
  });

  it.each([
    [["--template-var", "enable_thinking"], "It must be name=value, such as enable_thinking=false."],
    [["--template-var", "a=1", "--template-var", "a=2"], "The variable a is given twice."],
  ])("refuses %j", async (args, message) => {
    const { code, error } = await ziggurat(["generate", "Hello", ...args]);
    expect([code, error.includes(message)]).toEqual([1, true]);
  });

  it("stops at tokens, named by text or by id", async () => {
    const prompt = "Count: one two three";
    const { out } = await ziggurat(["generate", "--raw", prompt, "--max-tokens", "12", "--json"]);
    const { text: written, generatedTokens } = JSON.parse(out) as { text: string; generatedTokens: number };
    expect(generatedTokens).toBe(12);
    const stopped = async (token: string) => {
      const args = ["generate", "--raw", prompt, "--max-tokens", "12", "--json", "--stop-token", token];
      return JSON.parse((await ziggurat(args)).out) as { text: string; finishReason: string; generatedTokens: number };
    };
    const tokenizer = (await (await openModel(pebble())).tokenizer())!;
    const first = tokenizer.encode(written)[0]!;
    const word = tokenizer.decode([first]);
    expect(tokenizer.encode(word)).toEqual([first]);
    for (const token of [String(first), word])
      expect(await stopped(token), token).toMatchObject({ text: "", finishReason: "stop", generatedTokens: 0 });
  });

  it.each([
    ["{", "is no JSON"],
    ["[]", "is no array with a message in it"],
    ['[{ "role": "user" }]', "number 0 has the content undefined; it must be a string or a list of text parts"],
    ["[7]", "number 0 is 7; it must be an object with a role"],
  ])("refuses %s as messages", async (content, message) => {
    const { code, error } = await ziggurat(["generate", "--messages", await text("bad.json", content)]);
    expect(code).toBe(1);
    expect(error).toContain(message);
  });
});

describe("chat", () => {
  it("goes on in one session, a line a turn", async () => {
    const input = `${story().replaceAll("\n", " ")} Where does Clara live?\n\nWhere does Clara live?\n/exit\nnever read\n`;
    const { code, out, error } = await ziggurat(["chat", "--json", "--max-tokens", "8", "--policy", "h2o:keep=120"], {
      input,
    });
    expect([code, error]).toEqual([0, ""]);
    const turns = out.trim().split("\n").map((line) => JSON.parse(line) as { text: string; seen: number; active: boolean }); // biome-ignore format: a chain
    expect(turns).toHaveLength(2);
    expect(turns[0]!.active).toBe(true);
    expect(turns[1]!.seen).toBeGreaterThan(turns[0]!.seen);
  });
});

describe("inspect", () => {
  it("prints the bytes of a cache without loading anything, the same as are measured", async () => {
    const measured = await compared(
      "--task",
      "table",
      "--tokens",
      "300",
      "--policy",
      "full,h2o,pyramidkv",
      "--keep",
      "50",
      "--isolate",
    );
    const context = String(measured.promptTokens);
    const { code, out } = await ziggurat([
      "inspect",
      "--json",
      "--tokens",
      context,
      "--max-tokens",
      "64",
      "--policy",
      "full,h2o,pyramidkv",
      "--keep",
      "50",
    ]);
    expect(code).toBe(0);
    const { policies, layers } = JSON.parse(out) as { policies: Compared["runs"]; layers: { bytesPerToken: number }[] };
    expect(layers.map(({ bytesPerToken }) => bytesPerToken)).toEqual(Array(16).fill(row / 16));
    for (const [at, { policy, rowsPerLayer, kvBytes, roomBytes }] of policies.entries()) {
      const run = measured.runs[at]!;
      // biome-ignore format: two of a kind
      expect(run).toMatchObject({ policy, rowsPerLayer, kvBytes, roomBytes });
    }
  });
});

describe("inspect, of remote models", () => {
  const server = new HubServer();
  beforeAll(() => server.start());
  afterAll(() => server.stop());
  const inspect = (model: string, ...more: string[]) =>
    ziggurat(["inspect", "--model", model, "--tokens", "100", "--policy", "full,h2o", ...more], {
      env: { HF_ENDPOINT: server.url, ZIGGURAT_CACHE: join(folder, "cache"), HF_TOKEN: "" },
    });
  const json = async (model: string) => {
    const { code, out, error } = await inspect(model, "--json");
    expect([code, error]).toEqual([0, ""]);
    return JSON.parse(out) as {
      model: string;
      weightTypes: Record<string, number>;
      layers: { bytesPerToken: number; queryHeads: number }[];
    };
  };

  it("a repository and a URL: fetches the configuration and the headers of the weights", async () => {
    const { files } = checkpoint({ feedForward: 4096 });
    for (const name of ["config.json", "model.safetensors"]) {
      const source = (await files.open(name))!;
      server.files.set(name, await source.read(0, source.size));
    }
    const size = server.files.get("model.safetensors")!.length;
    for (const model of ["owner/tiny", `${server.url}/plain`]) {
      server.sent = 0;
      const { weightTypes, layers } = await json(model);
      expect(weightTypes.F32).toBeGreaterThan(0.99 * size);
      expect(layers.map(({ bytesPerToken, queryHeads }) => [bytesPerToken, queryHeads])).toEqual(
        Array(3).fill([2 * (2 * 8 * 2 + 4), 4]),
      );
      expect(server.sent).toBeLessThan(20_000);
    }
  });

  it("a GGUF file, of which only the head is fetched", async () => {
    const tensor = (name: string, shape: number[]) => ({
      name,
      shape,
      type: 1,
      bytes: new Uint8Array(2 * shape.reduce((a, b) => a * b)),
    });
    const layer = (name: string, ...shape: number[]) => tensor(`blk.0.${name}.weight`, shape);
    const projections = ["attn_q", "attn_k", "attn_v", "attn_output"].map((name) => layer(name, 1024, 1024));
    const mlp = [layer("ffn_gate", 8192, 1024), layer("ffn_up", 8192, 1024), layer("ffn_down", 1024, 8192)];
    const norms = [layer("attn_norm", 1024), layer("ffn_norm", 1024), tensor("output_norm.weight", [1024])];
    const file = writeGguf(
      {
        "general.architecture": ["string", "llama"],
        "general.name": ["string", "Wide"],
        "llama.block_count": ["u32", 1],
        "llama.context_length": ["u32", 512],
        "llama.embedding_length": ["u32", 1024],
        "llama.feed_forward_length": ["u32", 8192],
        "llama.attention.head_count": ["u32", 16],
        "llama.attention.layer_norm_rms_epsilon": ["f32", 1e-5],
      },
      [tensor("token_embd.weight", [100, 1024]), ...projections, ...mlp, ...norms],
    );
    expect(file.length).toBeGreaterThan(50e6);
    server.files.set("wide.gguf", file);
    for (const model of ["owner/tiny/wide.gguf@new", `${server.url}/plain/wide.gguf`]) {
      server.sent = 0;
      expect(await json(model)).toMatchObject({ model: "Wide", weightTypes: { F16: expect.any(Number) } });
      expect(server.sent).toBeLessThan(2 ** 21 + 100);
    }
    const { out } = await inspect("owner/tiny/wide.gguf@new");
    expect(out).toMatch(
      /^Wide: LlamaForCausalLM, 1 layers, hidden size 1024, 100 tokens known; reads 512 tokens\nweights: F16 [\d.]+ MB in the files/,
    );
  });

  it("says in one line what is wrong with a repository", async () => {
    for (const [model, message] of [
      ["owner/none", "has no such repository or revision"],
      ["owner/tiny@..", "revision is"],
      ["http://[::1]:9/m.gguf", "cannot be reached"],
    ] as const) {
      const { code, error } = await inspect(model);
      expect(error).toContain(message);
      expect(error).toMatch(/^error: [^\n]+\n$/);
      expect(code).toBe(1);
    }
    server.trouble = (_, response) => {
      response.writeHead(403).end("{}");
      return true;
    };
    expect((await inspect("owner/tiny@other")).error).toContain(
      "refuses it: it is gated, private or not there; give a token (HF_TOKEN)",
    );
    server.trouble = () => false;
  });
});

it("ctrl-C ends an answer in its middle, cleanly", async () => {
  const { code, out, error } = await ziggurat(["generate", "--raw", "The", "--max-tokens", "8000"], {
    interruptOnOutput: true,
  });
  expect([code, error]).toEqual([130, "aborted\n"]);
  expect(out).not.toBe("");
});
