/** Numbers for people. The locale is fixed, so that a screenshot means the same to everybody. */

const LOCALE = "en";
const grouped = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });

/** Three significant digits, never in exponent form. */
export function significant(value: number): string {
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(3));
  if (Math.abs(rounded) >= 100) return grouped.format(rounded);
  const whole = Math.floor(Math.log10(Math.abs(rounded))) + 1;
  return minus(rounded.toFixed(Math.min(3 - whole, 20)));
}

export const milliseconds = (value: number): string => `${significant(value)} ms`;

/** Decimal units: 1 KB is 1000 bytes, as the hubs that host models count. */
export const bytes = (value: number): string => scaled(value, ["B", "KB", "MB", "GB", "TB"]);

export const macs = (value: number): string => scaled(value, ["", "k", "M", "G", "T"]);

/** A fraction as a percentage. */
export const percent = (value: number, digits = 2): string => `${minus((value * 100).toFixed(digits))} %`;

/** A share that needs no more digits than it has: 25 %, 12.5 %. */
export const share = (value: number): string => `${Number((value * 100).toFixed(1))} %`;

/** A difference of fractions in percentage points, without the unit. */
export const points = (value: number): string => minus((value * 100).toFixed(2));

/** Without the zeros that only say how exact a measurement is: for limits and ticks, which are exact. */
export const exact = (text: string): string => text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");

/** How many times smaller or faster. */
export const times = (value: number): string => `${significant(value)}×`;

export const count = (value: number): string => grouped.format(value);

function scaled(value: number, units: string[]): string {
  let step = 0;
  let amount = value;
  // 999.5 would be rounded to 1000, which belongs to the next unit.
  while (Math.abs(amount) >= 999.5 && step < units.length - 1) {
    amount /= 1000;
    step += 1;
  }
  const text = step === 0 ? grouped.format(amount) : significant(amount);
  return `${text} ${units[step] ?? ""}`.trim();
}

/** A true minus sign, as wide as a digit; and no negative zero. */
function minus(text: string): string {
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}
