// Chart of values over time: mean line, band from least to greatest, gaps with their reasons, limits.
// It needs nothing else of the page. Colours are the custom properties --chart-<name> of its element.
import { drawCursor } from "./cursor.js";
import { drawChart, layout } from "./draw.js";
import { listen } from "./gestures.js";
import { Series } from "./series.js";
import { moment } from "./ticks.js";

const SHORTEST_MS = 5000;
const LONGEST_MS = 800 * 864e5;

export class Chart {
  // `kinds` has word and meaning of each reason for a gap. `onRange(from, to, isFinal)` is called when somebody
  // zooms; `onReset` when the first range is wanted, `onCursor(time, chart)` as the cursor moves;
  // `onPick({ value, x, y, isByKey })` when somebody clicks, taps or presses Enter at a value.
  constructor(element, { from, to, kinds = {}, onRange = () => {}, onReset = () => {}, onCursor = () => {}, onPick = () => {} }) {
    Object.assign(this, { element, from, to, kinds, onRange, reset: onReset, onCursor, onPick });
    // A limit is { value, label, tone }, a band { to, word, tone }, the cursor { time, points, gap }.
    Object.assign(this, { series: [], gaps: [], limits: [], bands: [], cursor: null, selection: null, marked: null });
    const made = (tag, name) => element.appendChild(Object.assign(document.createElement(tag), { className: name }));
    this.canvases = [made("canvas", "chart-picture"), made("canvas", "chart-cursor")];
    [this.tip, this.summary, this.spoken] = [made("div", "chart-tip"), made("p", "for-readers"), made("p", "for-readers")];
    this.tip.hidden = true;
    this.spoken.setAttribute("aria-live", "polite");
    this.canvases.forEach((canvas) => canvas.setAttribute("aria-hidden", "true"));
    element.chart = this;
    listen(element, this);
    new ResizeObserver(() => this.draw()).observe(element);
    matchMedia("(prefers-color-scheme: light)").addEventListener?.("change", () => this.draw());
    this.timeAt = (x) => this.place.timeAt(x);
    this.draw();
  }

  // Shows `series`, a list of one or two objects as `Series` takes them, and the gaps of the first.
  show({ series, gaps = [], limits = this.limits, bands = this.bands }) {
    Object.assign(this, { gaps, limits, bands, series: series.map((each, i) => new Series(i ? each : { ...each, gaps })) });
    this.draw();
  }

  append(k, time, value) {
    this.series[k]?.push(time, value);
  }

  dropBefore(time) {
    this.series.forEach((each) => each.dropBefore(time));
  }

  setRange(from, to) {
    [this.from, this.to] = [from, to];
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    const ratio = devicePixelRatio || 1;
    [this.width, this.height] = [this.element.clientWidth, this.element.clientHeight];
    const style = getComputedStyle(this.element);
    const known = new Map();
    this.color = (name) => {
      if (!known.has(name)) known.set(name, style.getPropertyValue(`--chart-${name}`).trim() || style.color);
      return known.get(name);
    };
    const [context, above] = this.canvases.map((canvas) => {
      const [width, height] = [this.width, this.height].map((size) => Math.round(size * ratio));
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const drawing = canvas.getContext("2d");
      drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
      drawing.font = `12px ${style.fontFamily}`;
      return drawing;
    });
    this.place = layout(context, this);
    if (this.cursor) this.cursor = this.cursorAt(this.cursor.time);
    drawChart(context, this, this.color);
    drawCursor(above, this, this.color);
    this.summary.textContent = this.describe();
  }

  select(selection) {
    this.selection = selection;
    drawCursor(this.canvases[1].getContext("2d"), this, this.color);
  }

  // Draws a line at a value, null for none.
  markValue(value) {
    this.marked = value;
    this.select(this.selection);
  }

  // Offers the value at a place in pixels.
  pick(x, y) {
    const [scale] = this.place.scales;
    if (scale && x >= this.place.left && x <= this.place.right) this.onPick({ value: scale.valueAt(y), x, y, isByKey: false });
  }

  // Offers the value at the cursor, else the newest one.
  pickPoint() {
    const [first] = this.series;
    const point = this.cursor?.points[0] ?? first?.extent(this.from, this.to).last ?? -1;
    if (point < 0) return;
    const { x, scales: [{ y, round }] } = this.place;
    const value = round(first.means[point]);
    this.onPick({ value, x: x(first.times[point]), y: y(value), isByKey: true });
  }

  zoomTo(from, to, isFinal) {
    const span = Math.min(Math.max(to - from, SHORTEST_MS), LONGEST_MS);
    const middle = (from + to) / 2;
    this.setRange(middle - span / 2, middle + span / 2);
    this.onRange(this.from, this.to, isFinal);
  }

  zoom(factor, around = (this.from + this.to) / 2, isFinal = true) {
    this.zoomTo(around - (around - this.from) * factor, around + (this.to - around) * factor, isFinal);
  }

  pan(ms, isFinal) {
    this.zoomTo(this.from + ms, this.to + ms, isFinal);
  }

  // Puts the cursor on the point next to a place in pixels, or takes it away.
  pointAt(x) {
    this.moveCursor(x === null ? null : this.timeAt(Math.min(Math.max(x, this.place.left), this.place.right)));
  }

  // Moves the cursor by some points and says what is there.
  step(points) {
    const [first] = this.series;
    if (!first) return;
    const [least, most] = [first.find(this.from), first.find(this.to + 1) - 1];
    if (most < least) return;
    const start = this.cursor ? first.nearest(this.cursor.time) : points < 0 ? most + 1 : least - 1;
    this.moveCursor(first.times[Math.min(Math.max(start + points, least), most)]);
    this.spoken.textContent = this.tip.textContent;
  }

  moveCursor(time, isOwn = true) {
    this.cursor = time === null || !this.place ? null : this.cursorAt(time);
    this.select(this.selection);
    this.tip.hidden = !this.cursor || !isOwn;
    if (isOwn) this.onCursor(this.cursor && this.cursor.time, this);
    if (this.tip.hidden) return;
    this.tip.textContent = this.read().join("\n");
    const x = this.place.x(this.cursor.time);
    const isRight = x > this.width / 2;
    this.tip.style.left = isRight ? "" : `${x + 10}px`;
    this.tip.style.right = isRight ? `${this.width - x + 10}px` : "";
  }

  // Returns the cursor on the point next to a time, or in a gap; the shortest gap is found 3 pixels around.
  cursorAt(time) {
    const slack = (3 * (this.to - this.from)) / (this.place.right - this.place.left);
    const isIn = ([from, to], around = 0) => time >= from - around && time < to + around;
    const gap = this.gaps.find((each) => isIn(each)) ?? this.gaps.find((each) => isIn(each, slack));
    const isWide = gap && gap[1] - gap[0] > 2 * slack && isIn(gap);
    const near = (each, at) => {
      const i = isWide || !each ? -1 : each.nearest(at);
      return i >= 0 && Math.abs(each.times[i] - at) <= Math.max(each.joinMs, 4 * slack) ? i : -1;
    };
    const first = near(this.series[0], time);
    const at = first >= 0 ? this.series[0].times[first] : time;
    return { time: at, points: this.series.map((each, k) => (k ? near(each, at) : first)), gap };
  }

  // Returns what is at the cursor, a line each: time, values, reason of a gap.
  read() {
    const { time, points, gap } = this.cursor;
    const values = points.flatMap((i, k) => {
      if (i < 0) return [];
      const { means, lows, highs, counts, format, label } = this.series[k];
      const value = `${label} ${format(means[i])}`;
      return counts[i] > 1 ? [value, `${format(lows[i])} to ${format(highs[i])} in ${counts[i]} readings`] : [value];
    });
    const reason = gap ? [`gap: ${this.kinds[gap[2]]?.[0] ?? gap[2]}`, `from ${moment(gap[0])}`, `to ${moment(gap[1])}`] : [];
    return [moment(time), ...values, ...reason];
  }

  // Returns the chart in words, for those who do not see it.
  describe() {
    const words = this.series.map((each) => {
      const { low, high, mean, size, last } = each.extent(this.from, this.to);
      if (!size) return `${each.label}: no values.`;
      const [least, middle, most, end] = [low, mean, high, each.means[last]].map(each.format);
      return `${each.label}: least ${least}, mean ${middle}, greatest ${most}, last ${end}.`;
    });
    const gaps = this.gaps.filter(([from, to]) => to > this.from && from < this.to);
    const reasons = [...new Set(gaps.map(([, , kind]) => this.kinds[kind]?.[0] ?? kind))].join(", ");
    return `${moment(this.from)} to ${moment(this.to)}. ${words.join(" ")} ${gaps.length ? `Gaps: ${gaps.length} (${reasons}).` : "No gaps."}`;
  }

  // Returns a picture of the chart with its background.
  toPng() {
    const copy = document.createElement("canvas");
    const [picture] = this.canvases;
    Object.assign(copy, { width: picture.width, height: picture.height });
    const context = copy.getContext("2d");
    context.fillStyle = this.color("ground");
    context.fillRect(0, 0, copy.width, copy.height);
    context.drawImage(picture, 0, 0);
    return new Promise((done) => copy.toBlob(done, "image/png"));
  }

  // Returns what is shown as a table: a line for each point.
  toCsv() {
    const rows = this.series.flatMap(({ label, times, means, lows, highs, counts }) =>
      times.flatMap((time, i) => (time < this.from || time > this.to ? [] : [[new Date(time).toISOString(), `"${label.replace(/"/g, '""')}"`, means[i], lows[i], highs[i], counts[i]]])));
    return [["time", "series", "mean", "least", "greatest", "readings"], ...rows].map((row) => row.join(",")).join("\r\n");
  }
}
