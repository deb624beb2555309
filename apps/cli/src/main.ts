#!/usr/bin/env node
import { Command } from "commander";
import { addCompare } from "./commands/compare.js";
import { explain, isAbort } from "./error.js";
import { abortOnInterrupt } from "./signal.js";

const program = new Command("ziggurat")
  .description("Cache policies for language models, on real input: answers, bytes and speed, side by side.")
  .addHelpText("after", "\nStart with: ziggurat compare --demo\nHelp on one command: ziggurat compare --help")
  .showHelpAfterError("(--help shows what there is)");
addCompare(program);

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
