import { testBackend } from "@ziggurat/testing";
import { describe, it } from "vitest";
import { cpu } from "../src/index.js";

testBackend({
  name: "cpu, one thread, base SIMD",
  create: () => cpu({ threads: 1, simd: "base" }),
  variants: [
    { name: "two threads", create: () => cpu({ threads: 2, simd: "base" }) },
    { name: "memory that is not shared", create: () => cpu({ shared: false, simd: "base" }) },
  ],
});

const relaxed = await cpu({ threads: 1, simd: "relaxed" }).then(
  (backend) => backend.dispose().then(() => true),
  () => false,
);
if (relaxed)
  testBackend({ name: "cpu, two threads, relaxed SIMD", create: () => cpu({ threads: 2, simd: "relaxed" }) });
else {
  describe("cpu, two threads, relaxed SIMD", () => {
    it("conforms", ({ skip }) =>
      skip("this version of Node has no relaxed SIMD (22 has); pages.test.ts runs it in Chromium"));
  });
}
