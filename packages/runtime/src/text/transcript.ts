import { RequestError } from "../error.js";
import type { Model } from "../model.js";
import type { Message } from "./chat.js";
import { encodePrompt, isChat, type Prompt } from "./prompt.js";

/** What a session's model was given and wrote, in order. */
export class Transcript {
  readonly #model: Model;
  /**
   * Ids read and written. The cache has read the first `seen` of them; the last one written waits to be read with the
   * next turn.
   */
  readonly ids: number[] = [];
  readonly #messages: Message[] = [];

  constructor(model: Model) {
    this.#model = model;
  }

  copy(): Transcript {
    const copy = new Transcript(this.#model);
    for (const id of this.ids) copy.ids.push(id);
    copy.#messages.push(...this.#messages);
    return copy;
  }

  /**
   * The ids that a prompt adds. `answer`: whether the assistant's message is to start after it. Throws what {@link
   * encodePrompt} throws.
   */
  encode(prompt: Prompt, answer: boolean): number[] {
    const { chat } = this.#model;
    if (!isChat(prompt) || !chat || prompt.length === 0)
      return encodePrompt(this.#model, prompt, { first: this.ids.length === 0 });
    const earlier = this.#messages;
    if (earlier.length === 0) {
      if (this.ids.length > 0)
        throw new RequestError(
          "the session has read text or ids, and so has no chat to go on with; go on with text or ids",
        );
      return chat.prompt(prompt, { generationPrompt: answer });
    }
    if (earlier.at(-1)!.role === "assistant") return chat.next(earlier.slice(0, -1), prompt);
    const before = chat.prompt(earlier, { generationPrompt: false });
    const all = chat.prompt([...earlier, ...prompt], { generationPrompt: answer });
    if (before.some((id, index) => all[index] !== id)) {
      throw new RequestError(
        "the chat template writes earlier messages in another way when more follow; start a new session with all messages",
      );
    }
    return all.slice(before.length);
  }

  /** A turn is over: what was read and what was written. `answer` undefined where none was asked for. */
  add(prompt: Prompt, read: readonly number[], written: readonly number[], answer: string | undefined): void {
    for (const id of read) this.ids.push(id);
    for (const id of written) this.ids.push(id);
    if (!isChat(prompt)) return;
    this.#messages.push(...prompt);
    if (answer !== undefined) this.#messages.push({ role: "assistant", content: answer });
  }
}
