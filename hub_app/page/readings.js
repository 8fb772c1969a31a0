// Values of a reading in their elements, which the hub or the dashboard plugin has rendered.
import { setText } from "./elements.js";
import { hubNow } from "./stream.js";
import { duration, write } from "./values.js";

// Own properties only: a field may be called "constructor".
const has = (data, name) => Object.prototype.hasOwnProperty.call(data, name);
const own = (data, name) => (name !== undefined && has(data, name) ? data[name] : undefined);

function showField(row, data) {
  const isPending = [0, false].includes(own(data, row.dataset.unlessZero));
  const value = isPending ? row.dataset.meanwhile : own(data, row.dataset.field);
  row.toggleAttribute("data-pending", isPending);
  const total = own(data, row.dataset.total);
  setText(row.querySelector(".value"), write(value, row.dataset));
  if (row.dataset.first) row.title = value;
  setText(row.querySelector(".total"), write(total, { decimals: row.dataset.decimals }));
  showBand(row, value);
  const bar = row.querySelector("meter");
  const full = Number(row.dataset.total === undefined ? row.dataset.full : total);
  if (bar && Number.isFinite(full)) {
    bar.max = full;
    bar.value = Number.isFinite(value) ? value : 0;
  }
}

// A band is [limit, tone, word, whether the limit itself is outside].
function isWithin([upper, , , isBelow], value) {
  return upper === null || (isBelow ? value < upper : value <= upper);
}

function showBand(row, value) {
  if (!row.dataset.bands) return;
  const bands = JSON.parse(row.dataset.bands);
  const known = value !== undefined && typeof value !== "string";
  const [, tone, word] = (known && bands.find((band) => isWithin(band, value))) || [null, "", ""];
  if (tone) row.dataset.tone = tone;
  else delete row.dataset.tone;
  setText(row.querySelector(".band"), word);
}

// Shows every field; returns true if each has an element.
export function showFields(place, data) {
  const rows = [...place.querySelectorAll("[data-field]")];
  rows.forEach((row) => showField(row, data));
  const placed = new Set(rows.flatMap((row) => [row.dataset.field, row.dataset.total]));
  return Object.keys(data).every((name) => placed.has(name));
}

// Shows the values of a reading, then its age: a value that cannot be shown never looks fresh.
export function showReading(place, { value }) {
  const isPlaced = showFields(place, value.data);
  place.dataset.at = value.at_ms;
  place.dataset.staleAfter = value.stale_after_ms;
  showAge(place);
  return isPlaced;
}

export function showAge(place) {
  const ageMs = Math.max(0, hubNow() - Number(place.dataset.at));
  place.toggleAttribute("data-stale", ageMs > Number(place.dataset.staleAfter));
  setText(place.querySelector(".age"), `${duration(ageMs / 1000)} ago`);
}

export const showAges = () => document.querySelectorAll("[data-at]").forEach(showAge);
