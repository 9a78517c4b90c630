import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    environment: "jsdom",
    environmentOptions: { jsdom: { url: "http://localhost/prefix/" } },
    setupFiles: ["tests/setup.ts"],
    // One worker for all files: starting one costs more than all tests together.
    pool: "threads",
    maxWorkers: 1,
    isolate: false,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
