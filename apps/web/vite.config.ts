import { defineConfig } from "vite";

// Cross-origin isolation lets the CPU backend's workers share memory. Without these headers it computes in one worker.
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  base: "./",
  build: { target: "es2022" },
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
});
