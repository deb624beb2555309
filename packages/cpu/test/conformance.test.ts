import { testBackend } from "@ziggurat/testing";
import { cpu } from "../src/index.js";

testBackend("cpu, one thread", () => cpu({ threads: 1 }));
testBackend("cpu, two threads", () => cpu({ threads: 2 }));
testBackend("cpu, memory that is not shared", () => cpu({ shared: false }));
