#!/usr/bin/env node
import { Command } from "commander";
import { addChat } from "./commands/chat.js";
import { addCompare } from "./commands/compare.js";
import { addGenerate } from "./commands/generate.js";
import { addInspect } from "./commands/inspect.js";
import { explain, isAbort } from "./error.js";
import { terminalWidth } from "./format.js";
import { abortOnInterrupt } from "./signal.js";

const program = new Command("ziggurat")
  .description("Cache policies for language models, on real input: answers, bytes and speed, side by side.")
  .addHelpText("after", "\nStart with: ziggurat compare --demo\nHelp on one command: ziggurat compare --help")
  .configureOutput({
    getOutHelpWidth: terminalWidth,
    outputError: (text, write) => write(`${text.trim().replace(/\s*\n\s*/g, " ")}\n`),
  });
addCompare(program);
addGenerate(program);
addChat(program);
addInspect(program);

// The reader of a pipe may stop reading, as head does. A device may be full.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`error: the output cannot be written: ${error.message}\n`, () => process.exit(1));
});
process.stderr.on("error", () => process.exit(1));
abortOnInterrupt();
try {
  await program.parseAsync();
} catch (error) {
  if (isAbort(error)) {
    process.stderr.write("aborted\n");
    process.exitCode = 130;
  } else {
    process.stderr.write(`${explain(error, process.argv.includes("--debug"))}\n`);
    process.exitCode = 1;
  }
}
