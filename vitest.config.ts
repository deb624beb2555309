import { defineConfig } from "vitest/config";

// Imports a shader as its text, as esbuild does in the built packages.
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
    // A missing snapshot fails instead of being written; `npx vitest run -u` writes it.
    update: "none",
    pool: "forks",
    maxWorkers: 2,
  },
});
