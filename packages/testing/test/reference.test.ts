import { reference } from "@ziggurat/tensor";
import { testBackend } from "@ziggurat/testing";

testBackend({ name: "reference", create: async () => reference({ maxBytes: 2 ** 32 }) });
