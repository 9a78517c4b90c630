import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  // Relative, so that the service can stand behind any path prefix.
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../static",
    emptyOutDir: true,
    target: "es2022",
    // The content security policy of the service allows files of its own only: nothing becomes a data: URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The chart is its own chunk, loaded after the first paint; it alone is above the default of 500 kB.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8321", "/openapi.json": "http://127.0.0.1:8321", "/healthz": "http://127.0.0.1:8321" } },
});
