// Cards of the sensor view: one chart for each field, with its figures and its exports.
import { Chart } from "../chart/chart.js";
import { KINDS } from "../live/coverage.js";
import { replaceContent, setText } from "../live/elements.js";
import { hubNow } from "../live/stream.js";
import { duration, write } from "../live/values.js";
import { AlarmMenu } from "./alarm_menu.js";
import { seriesOf } from "./history.js";

// Colours of the limits of alarms.
const TONES = { info: "second", warning: "warm", critical: "bad" };

const RECENT = 60;
// A reading that is so much newer than now is of a wrong clock; no later one would follow it.
const AHEAD_MS = 60000;

function made(tag, attributes, ...children) {
  const element = document.createElement(tag);
  Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  element.append(...children);
  return element;
}

// Returns label, unit and formats of a field from its row, which the hub has rendered.
function wordsOf(field, row, { label, unit } = {}) {
  const hints = row?.dataset ?? {};
  const shownUnit = row ? row.querySelector(".unit")?.textContent ?? "" : unit ?? "";
  const words = hints.words ? JSON.parse(hints.words) : [];
  return {
    label: row?.querySelector("dt").textContent ?? (label || field),
    unit: shownUnit,
    axis: hints.duration === undefined ? undefined : duration,
    words: words.length ? words : undefined,
    decimals: hints.decimals && Number(hints.decimals),
    plain: (value) => write(value, hints),
    format: (value) => `${write(value, hints)}${shownUnit && ` ${shownUnit}`}`,
    bands: hints.bands ? JSON.parse(hints.bands).map(([to, tone, word]) => ({ to: to ?? Infinity, tone, word })) : [],
  };
}

function download(name, blob) {
  const link = made("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export class Card {
  // `sensor` has node and sensor; `listeners` are those of the chart. With `operates`, it leads to alarms.
  constructor(place, field, words, sensor, listeners, operates) {
    Object.assign(this, { field, words, recent: [], isFirst: !place.childElementCount });
    const id = `chart-${place.childElementCount}`;
    const area = made("div", { class: "chart", tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-labelledby": id });
    this.legend = made("p", { class: "chart-legend" });
    this.figures = made("p", { class: "chart-figures" });
    const file = `${sensor.node}-${sensor.sensor}-${field}`;
    const button = (text, act) => {
      const element = made("button", { type: "button", class: "small", "aria-label": `${text} of ${words.label}` }, text);
      element.addEventListener("click", act);
      return element;
    };
    const png = button("PNG", async () => download(`${file}.png`, await this.chart.toPng()));
    const csv = button("CSV", () => download(`${file}.csv`, new Blob([this.chart.toCsv()], { type: "text/csv" })));
    const exports = made("p", { class: "chart-exports" }, png, csv);
    const foot = made("div", { class: "chart-foot" }, this.figures, exports);
    const box = made("div", { class: "chart-box" }, area);
    this.element = made("section", { class: "panel chart-card", "aria-labelledby": id, "data-field-of": field },
      made("h2", { id }, words.label), this.legend, box, foot);
    place.append(this.element);
    const menu = operates && new AlarmMenu(area, words.format, { ...sensor, field });
    this.chart = new Chart(area, { kinds: KINDS, ...listeners, ...(menu && { onPick: (picked) => menu.open(picked) }) });
    this.chart.bands = words.bands;
    if (!menu) return;
    box.append(menu.element);
    exports.prepend(button("Alarm", () => this.chart.pickPoint()));
  }

  // Shows the answers of the history, of the sensor and of the one that it is compared with.
  show(answers, names) {
    const other = answers[1] && otherField(answers[0], answers[1], this.field, this.isFirst);
    const fields = [this.field, ...(other ? [other.field] : [])];
    const series = fields.map((field, i) => {
      // The unit of the other one may differ; with the same, both have one axis.
      const words = !i || other.unit === this.words.unit ? this.words : wordsOf(field, null, other);
      return seriesOf(answers[i], field, fields.length > 1 ? { ...words, label: names[i] } : words);
    });
    this.otherField = other?.field;
    const { limits = [] } = answers[0].series.find((each) => each.field === this.field) ?? {};
    const lines = limits.map(({ alarm, severity, value }) => ({ value, label: alarm, tone: TONES[severity] }));
    this.chart.show({ series, gaps: answers[0].gaps, limits: lines });
    this.recent.forEach((reading) => this.chart.append(...reading));
    replaceContent(this.legend, fields.length > 1 ? names.map((name) => made("span", {}, name)) : []);
    this.showFigures();
  }

  // Adds a reading of the sensor (k = 0) or of the other one (k = 1). It is kept, as the history has it a little later.
  append(k, timestampMs, data) {
    const value = data[k ? this.otherField : this.field];
    if (value === undefined || typeof value === "string" || timestampMs > hubNow() + AHEAD_MS) return;
    this.recent = [...this.recent.slice(1 - RECENT), [k, timestampMs, Number(value)]];
    this.chart.append(k, timestampMs, Number(value));
  }

  showFigures() {
    const [first] = this.chart.series;
    if (!first) return;
    const { low, high, mean, size } = first.extent(this.chart.from, this.chart.to);
    const { plain, format, words } = this.words;
    const middle = words ? "" : `mean ${plain(mean)}, `;
    setText(this.figures, size ? `least ${plain(low)}, ${middle}greatest ${format(high)}` : "no values in this range");
  }
}

// Returns the field of another sensor that is compared: of the same name, else of the same unit; the first
// chart takes any.
function otherField(answer, other, field, isFirst) {
  const { unit } = answer.series.find((each) => each.field === field) ?? {};
  const withPoints = other.series.filter((each) => each.points.length);
  return withPoints.find((each) => each.field === field)
    ?? withPoints.find((each) => unit && each.unit === unit)
    ?? (isFirst ? withPoints[0] : undefined);
}

// Returns a card for each field that has numbers and none in `cards`: those of the page's rows, then the others in
// the history.
export function makeCards(place, cards, answer, sensor, listeners, operates) {
  const rows = [...document.querySelectorAll(".now [data-field]")];
  const totals = rows.map((row) => row.dataset.total);
  const byField = new Map(answer.series.map((each) => [each.field, each]));
  const isShown = (field) => byField.get(field)?.points.length;
  const ofRows = rows.filter((row) => isShown(row.dataset.field) || row.dataset.text === undefined).filter((row) => byField.has(row.dataset.field));
  const placed = new Set([...rows.map((row) => row.dataset.field), ...totals]);
  const others = answer.series.filter(({ field }) => !placed.has(field) && isShown(field));
  const known = new Set(cards.map(({ field }) => field));
  return [
    ...ofRows.map((row) => [row.dataset.field, wordsOf(row.dataset.field, row)]),
    ...others.map((each) => [each.field, wordsOf(each.field, null, each)]),
  ].filter(([field]) => !known.has(field)).map(([field, words]) => new Card(place, field, words, sensor, listeners, operates));
}
