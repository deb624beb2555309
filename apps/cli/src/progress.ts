/** A bar on the terminal for long work. Writes nothing if stderr is no terminal. */
export interface Progress {
  /** To be called with the fraction done, and with another title if it changes. */
  update(done: number, title?: string): void;
  /** Wipes the bar. */
  end(): void;
}

export function progress(title: string, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { update() {}, end() {} };
  const width = 30;
  let shown = "";
  let name = title;
  return {
    update(done, newTitle = name) {
      name = newTitle;
      const filled = Math.round(width * Math.min(1, Math.max(0, done)));
      const line = `${name} ${"█".repeat(filled)}${"░".repeat(width - filled)} ${Math.floor(100 * Math.min(1, done))} %`;
      if (line === shown) return;
      shown = line;
      stream.write(`\r\x1b[2K${line.slice(0, (stream.columns || 80) - 1)}`);
    },
    end() {
      if (shown !== "") stream.write("\r\x1b[2K");
      shown = "";
    },
  };
}
