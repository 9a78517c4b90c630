import { useSyncExternalStore } from "react";

/** The chart's colours, from the style sheet, so that both schemes are defined in one place. */
export interface Palette {
  text: string;
  muted: string;
  line: string;
  surface: string;
  accent: string;
  dim: string;
  mark: string;
  limit: string;
  /** Colours for low, middle and high values. */
  ramp: string[];
}

const query = window.matchMedia("(prefers-color-scheme: dark)");

export function usePalette(): Palette {
  const isDark = useSyncExternalStore(subscribe, () => query.matches);
  return isDark ? palettes.dark() : palettes.light();
}

const palettes = { dark: once(readPalette), light: once(readPalette) };

function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    text: colour("text"),
    muted: colour("muted"),
    line: colour("line"),
    surface: colour("surface"),
    accent: colour("accent"),
    dim: colour("dim"),
    mark: colour("mark"),
    limit: colour("limit"),
    ramp: [colour("ramp-low"), colour("ramp-middle"), colour("ramp-high")],
  };
}

/** The same object each time, so that effects do not run for nothing. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

function subscribe(notify: () => void): () => void {
  query.addEventListener("change", notify);
  return () => query.removeEventListener("change", notify);
}
