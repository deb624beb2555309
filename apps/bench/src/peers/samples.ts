import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** What was measured, by name and round, written to a file after each so that a run that was cut short can go on. */
export class Samples {
  readonly #path: string;
  readonly #settings: string;
  readonly #values: Map<string, number[]>;

  private constructor(path: string, settings: string, values: Map<string, number[]>) {
    this.#path = path;
    this.#settings = settings;
    this.#values = values;
  }

  /** With `resume`: the samples in the file, if they were measured under the same settings. */
  static async open(path: string, settings: string, resume: boolean): Promise<Samples> {
    const kept = resume ? await readFile(path, "utf8").then(JSON.parse, () => undefined) : undefined;
    const same = kept?.settings === settings;
    if (resume && kept && !same)
      console.error("the samples of the last run are of other settings; they are measured anew");
    return new Samples(path, settings, new Map(same ? Object.entries(kept.values as Record<string, number[]>) : []));
  }

  /** How many rounds of `name` there are. */
  count(name: string): number {
    return this.#values.get(name)?.length ?? 0;
  }

  of(name: string): readonly number[] {
    return this.#values.get(name) ?? [];
  }

  async add(measured: Readonly<Record<string, number>>): Promise<void> {
    for (const [name, value] of Object.entries(measured)) this.#values.set(name, [...this.of(name), value]);
    await mkdir(dirname(this.#path), { recursive: true });
    await writeFile(
      `${this.#path}.part`,
      JSON.stringify({ settings: this.#settings, values: Object.fromEntries(this.#values) }),
    );
    await rename(`${this.#path}.part`, this.#path);
  }
}
