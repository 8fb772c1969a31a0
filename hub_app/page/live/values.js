// Formatting of values, by the data attributes that the dashboard plugin sets on their elements.

const HUGE = 1e15; // a larger number is a fault, not a measurement
const SMALL = 1e-3;
const LEAST = 1e-15;
const ABSENT = "\u2013";

const MOST_PARSED = 1000;
const parsedTexts = new Map();

// Returns what a text of JSON says; the texts of data attributes are few, and are read often.
export function parsed(json) {
  if (!parsedTexts.has(json)) {
    if (parsedTexts.size >= MOST_PARSED) parsedTexts.clear();
    parsedTexts.set(json, JSON.parse(json));
  }
  return parsedTexts.get(json);
}

export function clock(ms) {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? "--:--:--" : at.toLocaleTimeString("en-GB");
}

export function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const days = Math.floor(hours / 24);
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds) % 60} s` : `${Math.floor(seconds)} s`;
}

export function dateAndTime(ms) {
  const at = new Date(ms);
  if (!ms || Number.isNaN(at.getTime())) return ABSENT;
  return `${at.toLocaleDateString("en-CA")} ${clock(ms)}`;
}

// The time of day, with the date unless it is today.
function moment(ms) {
  const isToday = new Date(ms).toDateString() === new Date().toDateString();
  return ms && isToday ? clock(ms) : dateAndTime(ms);
}

function text(value, hints) {
  if (hints.first) return value.slice(0, Number(hints.first));
  const texts = hints.texts ? parsed(hints.texts) : {};
  return Object.prototype.hasOwnProperty.call(texts, value) ? texts[value] : value;
}

// Three decimals, and more for a small number that they would make 0.
function plain(value) {
  const size = Math.abs(value);
  const isSmall = size >= LEAST && size < SMALL;
  const decimals = isSmall ? 2 - Math.floor(Math.log10(size)) : 3;
  return value.toFixed(decimals).replace(/\.?0+$/, "");
}

export function write(value, hints) {
  if (value === undefined || value === null) return ABSENT;
  if (typeof value === "string") return text(value, hints);
  const word = hints.words && parsed(hints.words)[Number(value)];
  if (word !== undefined) return word;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Math.abs(value) >= HUGE) return value > 0 ? "> 1e15" : "< -1e15";
  if (hints.duration !== undefined) return duration(value);
  if (hints.moment !== undefined) return moment(value);
  if (hints.decimals === undefined) return plain(value);
  return value.toFixed(Number(hints.decimals));
}
