import { cleanup } from "@testing-library/react";
import { afterEach } from "vitest";

// What every browser has and jsdom lacks.
window.matchMedia = (query: string) =>
  ({ matches: false, media: query, addEventListener: () => {}, removeEventListener: () => {} }) as unknown as MediaQueryList;
window.scrollTo = () => {};

afterEach(() => {
  cleanup();
  window.history.replaceState(null, "", "#/");
});
