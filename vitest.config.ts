import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["@ziggurat/source"] },
  ssr: { resolve: { conditions: ["@ziggurat/source"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "apps/*/test/**/*.test.ts", "scripts/test/**/*.test.ts"],
    testTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
