import { ends } from "./scale";

/** From a value to a colour, and what the two ends of the colours stand for. */
export interface Ramp {
  low: number;
  high: number;
  colour: (value: number) => string;
}

const LOG_FROM_RATIO = 2.5;

/** Colours for values, from the first stop for the lowest to the last for the highest; ratios where they differ much. */
export function rampOf(values: number[], stops: string[]): Ramp | null {
  if (values.length === 0 || stops.length < 2) return null;
  const [low, high] = ends(values);
  const isLog = low > 0 && high / low >= LOG_FROM_RATIO;
  const place = (value: number) => (isLog ? Math.log(value) : value);
  const span = place(high) - place(low);
  const colours = stops.map(parse);
  return { low, high, colour: (value) => mixed(colours, span > 0 ? (place(value) - place(low)) / span : 0) };
}

type Rgb = [number, number, number];

function mixed(stops: Rgb[], share: number): string {
  const at = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const index = Math.min(Math.floor(at), stops.length - 2);
  const [from, to] = [stops[index] as Rgb, stops[index + 1] as Rgb];
  const parts = from.map((part, channel) => Math.round(part + (at - index) * ((to[channel] as number) - part)));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** `#rrggbb` alone: the style sheet's tokens are written so. */
function parse(hex: string): Rgb {
  const number = Number.parseInt(hex.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}
