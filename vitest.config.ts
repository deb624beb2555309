import { defineConfig } from "vitest/config";

// Shaders are imported as their text; in packages esbuild does the same.
const wgsl = {
  name: "wgsl",
  transform: (code: string, id: string) =>
    id.endsWith(".wgsl") ? { code: `export default ${JSON.stringify(code)}`, map: null } : undefined,
};

export default defineConfig({
  plugins: [wgsl],
  resolve: { conditions: ["@ziggurat/source"] },
  ssr: { resolve: { conditions: ["@ziggurat/source"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "apps/*/test/**/*.test.ts", "scripts/test/**/*.test.ts"],
    testTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
