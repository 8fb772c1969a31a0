// Range of time that charts show, and its place in the page's address. Pure.

const UNITS_MS = { s: 1e3, min: 6e4, h: 36e5, d: 864e5, y: 365 * 864e5 };
const DAY = "24h";
const HOUR = "1h";
// A range that ends so close to now, as a part of its length, follows the new readings.
const CLOSE = 0.02;

// Returns milliseconds for "24h", "90s" and the like, or NaN.
export function spanOf(text) {
  const [, number, unit] = /^([0-9]{1,9})(s|min|h|d|y)$/.exec(text) ?? [];
  return number > 0 ? number * UNITS_MS[unit] : NaN;
}

function textOf(span) {
  const unit = ["y", "d", "h", "min"].find((name) => span % UNITS_MS[name] === 0) ?? "s";
  const number = Math.max(1, Math.round(span / UNITS_MS[unit]));
  return unit === "d" && number === 1 ? DAY : `${number}${unit}`;
}

// Returns the span that a page opens with: a day, or an hour where nothing is older, by the hub's answers for a day.
export function openingSpan(answers, now) {
  const firsts = answers.flatMap(({ series, gaps }) => [...series.map(({ points }) => points[0]?.[0]), gaps[0]?.[0]]);
  const oldest = Math.min(...firsts.filter((time) => time !== undefined));
  return spanOf(oldest < Infinity && oldest > now - spanOf(HOUR) ? HOUR : DAY);
}

// A range is a span in milliseconds up to a time, null for one that follows the new readings. `opening` is the
// span where the address says none.
export function readRange(search, opening = spanOf(DAY)) {
  const params = new URLSearchParams(search);
  const [from, to] = ["from", "to"].map((name) => Date.parse(params.get(name)));
  if (from < to) return { span: to - from, to };
  const span = spanOf(params.get("range"));
  return { span: Number.isNaN(span) ? opening : span, to: null };
}

export const hasRange = (search) => ["range", "from"].some((name) => new URLSearchParams(search).has(name));

// Returns the address of a range, which keeps the other parameters.
export function addressOf({ span, to }, search) {
  const params = new URLSearchParams(search);
  ["from", "to", "range"].forEach((name) => params.delete(name));
  if (to === null) params.set("range", textOf(span));
  else [["from", to - span], ["to", to]].forEach(([name, ms]) => params.set(name, new Date(ms).toISOString()));
  return `?${params}`;
}

// Returns the range that was chosen by its ends, which follows where it reaches the present.
export function chosen(from, to, now) {
  const span = Math.round(to - from);
  return { span, to: to >= now - CLOSE * span ? null : Math.round(to) };
}

// Returns a time as an input of the type datetime-local takes it.
export function localText(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
