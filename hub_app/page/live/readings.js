// Values of a reading in their elements, which the hub or the dashboard plugin has rendered.
import { setText } from "./elements.js";
import { hubNow } from "./stream.js";
import { duration, parsed, write } from "./values.js";

// Own properties only: a field may be called "constructor".
const has = (data, name) => Object.prototype.hasOwnProperty.call(data, name);
const own = (data, name) => (name !== undefined && has(data, name) ? data[name] : undefined);

// Formats of fields, which the dashboard plugin lists once; other pages have them on each row.
const formats = new Map();

export function readFormats() {
  formats.clear();
  document.querySelectorAll("[data-format-of]").forEach(({ dataset }) => formats.set(dataset.formatOf, { ...dataset }));
}

// Returns the data attributes from which the value of a row is written.
export const hintsOf = ({ dataset }) => (dataset.format === undefined ? dataset : formats.get(dataset.format));

function showField(row, data) {
  const hints = hintsOf(row);
  const isPending = [0, false].includes(own(data, hints.unlessZero));
  const value = isPending ? hints.meanwhile : own(data, row.dataset.field);
  row.toggleAttribute("data-pending", isPending);
  const total = own(data, hints.total);
  setText(row.querySelector(".value"), write(value, hints));
  if (hints.first) row.title = value;
  if (hints.total !== undefined) setText(row.querySelector(".total"), write(total, { decimals: hints.decimals }));
  showBand(row, value, hints);
  const full = Number(hints.total === undefined ? hints.full : total);
  const bar = Number.isFinite(full) && row.querySelector("meter");
  if (bar) {
    bar.max = full;
    bar.value = Number.isFinite(value) ? value : 0;
  }
}

// A band is [limit, tone, word, whether the limit itself is outside].
function isWithin([upper, , , isBelow], value) {
  return upper === null || (isBelow ? value < upper : value <= upper);
}

function showBand(row, value, hints) {
  if (!hints.bands) return;
  const known = value !== undefined && typeof value !== "string";
  const [, tone, word] = (known && parsed(hints.bands).find((band) => isWithin(band, value))) || [null, "", ""];
  if (tone) row.dataset.tone = tone;
  else delete row.dataset.tone;
  setText(row.querySelector(".band"), word);
}

// Shows every field; returns true if each has an element.
export function showFields(place, data) {
  const rows = [...place.querySelectorAll("[data-field]")];
  rows.forEach((row) => showField(row, data));
  const placed = new Set(rows.flatMap((row) => [row.dataset.field, hintsOf(row).total]));
  return Object.keys(data).every((name) => placed.has(name));
}

// Shows the values of a reading, then its age: a value that cannot be shown never looks fresh.
export function showReading(place, { value }) {
  const isPlaced = showFields(place, value.data);
  place.dataset.at = value.at_ms;
  place.dataset.staleAfter = value.stale_after_ms;
  showAge(place);
  return isPlaced || place.dataset.more !== undefined;
}

export function showAge(place) {
  const ageMs = Math.max(0, hubNow() - Number(place.dataset.at));
  const isStale = ageMs > Number(place.dataset.staleAfter);
  if (place.hasAttribute("data-stale") !== isStale) place.toggleAttribute("data-stale", isStale);
  setText(place.querySelector(".age"), `${duration(ageMs / 1000)} ago`);
}

export const showAges = () => document.querySelectorAll("[data-at]").forEach(showAge);
