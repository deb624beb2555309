#!/usr/bin/env node
import { program } from "commander";

program.name("ziggurat").description("Cache policies for language models, on real input").parse();
