import { testBackend } from "@ziggurat/testing";
import { cpu } from "../src/index.js";

testBackend({
  name: "cpu, one thread",
  create: () => cpu({ threads: 1 }),
  variants: [
    { name: "two threads", create: () => cpu({ threads: 2 }) },
    { name: "memory that is not shared", create: () => cpu({ shared: false }) },
  ],
});
