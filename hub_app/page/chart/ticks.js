// Ticks of a chart's axes: round values, and round local times. Pure.

const [SECOND, MINUTE, HOUR, DAY] = [1e3, 6e4, 36e5, 864e5];
// Steps of a time axis: unit, how many of them, and the length in milliseconds.
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => ["clock", n * SECOND, n * SECOND]),
  ...[1, 2, 5, 10, 15, 30].map((n) => ["clock", n * MINUTE, n * MINUTE]),
  ...[1, 2, 3, 6, 12].map((n) => ["clock", n * HOUR, n * HOUR]),
  ...[1, 2, 5, 10].map((n) => ["day", n, n * DAY]),
  ...[1, 2, 3, 6, 12, 24, 60].map((n) => ["month", n, n * 30.4 * DAY]),
];
const LONGEST_TEXT = 8;
const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const LABELS = {
  second: format({ hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  minute: format({ hour: "2-digit", minute: "2-digit" }),
  day: format({ day: "numeric", month: "short" }),
  month: format({ month: "short" }),
  year: format({ year: "numeric" }),
  full: format({ weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }),
};

export const moment = (ms) => LABELS.full.format(ms);

// Returns round values between two others, at most `most` of them, and the decimals that they need.
export function valueTicks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const values = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) values.push(n * step);
  return { values, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// Returns a value of an axis as text: with a power of ten where it is shorter and exact enough.
export function tickText(value, decimals) {
  const plain = value.toFixed(Math.min(decimals, 100));
  if (plain.length <= LONGEST_TEXT) return plain;
  const digits = Math.floor(Math.log10(Math.abs(value) || 1)) + decimals;
  const power = Number(value.toExponential(Math.min(Math.max(0, digits), 100))).toExponential();
  return value && power.length < plain.length ? power : value ? plain : "0";
}

// Returns round local times between two others, each [ms, label, whether it begins a day, month or year].
export function timeTicks(from, to, most) {
  const [unit, n, length] = STEPS.find(([, , ms]) => (to - from) / ms <= most) ?? STEPS[STEPS.length - 1];
  const start = new Date(from);
  const [year, month, day] = [start.getFullYear(), start.getMonth(), start.getDate()];
  const ticks = [];
  if (unit === "month") {
    for (let k = year * 12 + month - (month % n); ticks.length < 99; k += n) {
      const at = new Date(Math.floor(k / 12), k % 12).getTime();
      if (at > to) break;
      ticks.push([at, LABELS[k % 12 ? "month" : "year"].format(at), k % 12 === 0]);
    }
  } else {
    for (let k = 0; new Date(year, month, day + k).getTime() <= to; k++) {
      const midnight = new Date(year, month, day + k);
      if (unit === "clock") ticks.push(...clockTicks(midnight, Math.max(from, midnight.getTime()), to, n));
      // Counted from the first of a month, and none close to the next one.
      else if ((midnight.getDate() - 1) % n === 0 && (n === 1 || midnight.getDate() + n / 2 < 31)) {
        ticks.push([midnight.getTime(), LABELS.day.format(midnight), midnight.getDate() === 1]);
      }
    }
  }
  return ticks.filter(([at]) => at >= from && at <= to);
}

// Counted in local time from midnight, so that they stay round where the clock is changed.
function clockTicks(midnight, from, to, step) {
  const ticks = [];
  for (let k = Math.max(0, Math.floor((from - midnight) / step) - Math.ceil(HOUR / step)); k * step < DAY; k++) {
    const at = new Date(midnight).setHours(0, 0, 0, k * step);
    if (at > to) break;
    if (k === 0) ticks.push([at, LABELS.day.format(at), true]);
    else ticks.push([at, LABELS[step < MINUTE ? "second" : "minute"].format(at), false]);
  }
  return ticks;
}
