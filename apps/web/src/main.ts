import type { Model } from "@ziggurat/runtime";
import { DocumentError, mostBytes, readFile, sample } from "./document.js";
import { onDrop } from "./drop.js";
import { type BackendName, Engine, explain, isLost, webgpuMissing } from "./engine.js";
import { count, speed } from "./format.js";
import { remember } from "./history.js";
import { Meters } from "./meters.js";
import { choose, hasBudget, policies } from "./policies.js";
import { run, type Snapshot } from "./run.js";
import { Stack } from "./stack.js";

const get = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const form = get<HTMLFormElement>("form");
const text = get<HTMLTextAreaElement>("text");
const question = get<HTMLInputElement>("question");
const policyMenu = get<HTMLSelectElement>("policy");
const keep = get<HTMLInputElement>("keep");
const [ask, stop, makeSample] = ["ask", "stop", "sample"].map((id) => get<HTMLButtonElement>(id)) as [
  HTMLButtonElement,
  HTMLButtonElement,
  HTMLButtonElement,
];
const fileInput = get<HTMLInputElement>("file");
const [status, errorLine, answer, size] = [get("status"), get("error"), get("answer"), get("size")];
const progress = get<HTMLProgressElement>("progress");

/** The longest answer; Pebble's are a few words. */
const maxTokens = 64;
const sampleTokens = { cpu: 2048, webgpu: 2048, software: 512 } as const;

const engine = new Engine();
const stack = new Stack(get("stack"), get("stack-caption"));
const meters = new Meters(get("meters"), get("total"), get("full"));
let model: Model | undefined;
let running: { readonly controller: AbortController; readonly ended: Promise<void> } | undefined;
let counting: ReturnType<typeof setTimeout> | undefined;
/** Whether a sample is being made. */
let making = false;
let seed = 1;
/** What the sample's question should be answered with, while neither was changed. */
let known: { text: string; question: string; answer: string } | undefined;

const backend = () => new FormData(form).get("backend") as BackendName;
const chosen = () => policies.find(({ name }) => name === policyMenu.value)!;

function fail(error: unknown): void {
  errorLine.textContent = explain(error);
  errorLine.hidden = false;
}
function tell(what: string, done?: number): void {
  if (status.textContent !== what) status.textContent = what;
  progress.hidden = done === undefined;
  progress.value = done ?? 0;
}
function update(): void {
  const busy = running !== undefined;
  ask.disabled = busy || making || !model;
  makeSample.disabled = making || !model;
  stop.hidden = !busy;
  const { title, summary } = chosen();
  get("about").textContent = `${title}: ${summary}.`;
  keep.disabled = !hasBudget(chosen());
  measure();
}
function measure(): void {
  const { length } = text.value;
  const most = model?.facts.contextLength ?? Number.POSITIVE_INFINITY;
  const tokens = length > mostBytes ? undefined : model?.tokenizer?.encode(text.value).length;
  size.textContent = tokens === undefined ? `${count(length)} characters` : `${count(tokens)} of ${count(most)} tokens`;
  size.classList.toggle("bad", length > mostBytes || (tokens ?? 0) > most);
}

async function load(): Promise<void> {
  const name = backend();
  model = undefined;
  running?.controller.abort();
  await running?.ended;
  update();
  try {
    const loaded = await engine.model(name, (what, done) => backend() === name && tell(what, done));
    if (backend() !== name) return;
    model = loaded;
    const { device, features } = loaded.backend.info;
    tell(`Ready: Pebble on ${device}${features.software === true ? ", in software and so slow" : ""}`);
  } catch (error) {
    if (backend() !== name) return;
    tell("The model could not be loaded");
    fail(error);
  }
  update();
}

function show(model: Model, shown: Snapshot, most: number): void {
  const { phase, read, promptTokens, written, rows } = shown;
  const reading = phase === "reading";
  tell(reading ? `Reading ${count(promptTokens)} tokens` : `Answering: ${written} tokens`, reading ? read : undefined);
  get("read").textContent = speed(shown.readSpeed);
  get("written").textContent = speed(shown.writeSpeed);
  answer.textContent = shown.text;
  stack.show(rows, { layers: model.facts.cache.layers.length, most, reading });
  meters.show(shown);
}

/** What is asked, checked. Throws a `DocumentError`, and what the policy throws. */
function request({ chat, facts, name }: Model) {
  if (text.value.trim() === "")
    throw new DocumentError("There is no document. Paste a text, open a file, or make a sample.");
  if (question.value.trim() === "") throw new DocumentError("There is no question. Write one about the document.");
  const tooLong = (size: string) =>
    new DocumentError(
      `The document is too long: it has ${size}, and ${name} reads ${count(facts.contextLength)} tokens. Shorten it.`,
    );
  if (text.value.length > mostBytes) throw tooLong(`${count(text.value.length)} characters`);
  const ids = chat!.prompt([{ role: "user", content: `${text.value}\n${question.value}` }]);
  if (ids.length > facts.contextLength) throw tooLong(`${count(ids.length)} tokens with the question`);
  const { policy, rows } = choose(chosen(), keep.value, ids.length);
  return {
    ids,
    policyName: chosen().name,
    policy,
    keep: hasBudget(chosen()) ? keep.value.trim() : "",
    // A pyramid's lowest layer has nearly twice the mean.
    most: Math.min(2 * rows, ids.length),
  };
}

async function answerQuestion(loaded: Model, signal: AbortSignal): Promise<void> {
  const name = backend();
  try {
    const { ids, policyName, policy, keep, most } = request(loaded);
    const expected = known?.text === text.value && known.question === question.value ? known.answer : undefined;
    answer.dataset.empty = "false";
    const result = await run({
      model: loaded,
      policy,
      ids,
      maxTokens,
      signal,
      onChange: (shown) => show(loaded, shown, most),
    });
    get("runs").hidden = false;
    remember(get<HTMLTableElement>("history"), { backend: name, policy: policyName, keep, result, expected });
    get("written").textContent = speed(result.timings.decodeTokensPerSecond);
    if (result.text.trim() === "") answer.textContent = "(nothing)";
    const inactive = keep !== "" && !result.policy.active ? ". The prompt fits the budget, so nothing was evicted" : "";
    tell(`Answered with ${result.generatedTokens} tokens${inactive}`);
  } catch (error) {
    if (signal.aborted) return tell("Stopped");
    tell("No answer");
    fail(error);
    if (!isLost(error)) return;
    await engine.close();
    queueMicrotask(() => void load());
  }
}

function start(): void {
  if (!model || running) return;
  errorLine.hidden = true;
  const controller = new AbortController();
  const ended = answerQuestion(model, controller.signal).finally(() => {
    running = undefined;
    update();
  });
  running = { controller, ended };
  update();
}

async function take(file: File): Promise<void> {
  errorLine.hidden = true;
  try {
    text.value = await readFile(file);
  } catch (error) {
    fail(error);
  }
  update();
}

for (const { name } of policies) policyMenu.add(new Option(name, name));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
form.addEventListener("change", ({ target }) => {
  if ((target as HTMLInputElement).name === "backend") void load();
  else update();
});
text.addEventListener("input", () => {
  clearTimeout(counting);
  counting = setTimeout(measure, 300);
});
stop.addEventListener("click", () => running?.controller.abort());
get("open").addEventListener("click", () => fileInput.click());
fileInput.addEventListener("change", () => {
  const file = fileInput.files?.[0];
  if (file) void take(file);
  fileInput.value = "";
});
makeSample.addEventListener("click", async () => {
  if (!model?.tokenizer) return;
  errorLine.hidden = true;
  making = true;
  update();
  try {
    const { features, name } = model.backend.info;
    known = await sample(
      model.tokenizer,
      sampleTokens[features.software === true ? "software" : (name as BackendName)],
      seed++,
    );
    text.value = known.text;
    question.value = known.question;
  } catch (error) {
    fail(error);
  }
  making = false;
  update();
});
onDrop(get("drop"), (file) => void take(file));

const missing = await webgpuMissing();
if (missing !== undefined) {
  get("notice").textContent = missing;
  for (const input of form.querySelectorAll<HTMLInputElement>('[name="backend"]')) {
    input.checked = input.value === "cpu";
    input.disabled = input.value === "webgpu";
  }
}
update();
await load();
