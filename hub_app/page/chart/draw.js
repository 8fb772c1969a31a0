// Drawing of a chart on a canvas. Colours are custom properties of CSS, which `color` looks up by name.
import { tickText, timeTicks, valueTicks } from "./ticks.js";

const LINE_PX = 16;

// Returns the place of the plot and the scale of each axis; `chart` has size, range and series.
export function layout(context, { width, height, from, to, series, limits }) {
  const scales = [];
  series.forEach((each) => {
    const shared = scales.find((scale) => scale.unit === each.unit);
    if (shared) shared.series.push(each);
    else scales.push({ unit: each.unit, series: [each], axis: each.axis, words: each.words });
  });
  const top = LINE_PX * 1.5;
  const bottom = Math.max(top + 1, height - LINE_PX * 1.6);
  scales.forEach((scale, i) => {
    fit(scale, from, to, i ? [] : limits);
    const { values, decimals } = valueTicks(scale.low, scale.high, Math.max(2, (bottom - top) / 42));
    scale.ticks = scale.words?.map((word, value) => [value, word])
      ?? values.map((value) => [value, scale.axis?.(value, decimals) ?? tickText(value, decimals)]);
    scale.gutter = Math.max(...scale.ticks.map(([, text]) => context.measureText(text).width), 24) + 12;
    scale.y = (value) => bottom - ((value - scale.low) / (scale.high - scale.low)) * (bottom - top);
    // As exact as the values are shown, or as the ticks and a little more.
    const digits = scale.words ? 0 : scale.series[0].decimals ?? Math.min(decimals + 1, 100);
    scale.round = (value) => Number(Math.min(Math.max(value, scale.low), scale.high).toFixed(digits));
    scale.valueAt = (y) => scale.round(scale.high - ((y - top) / (bottom - top)) * (scale.high - scale.low));
  });
  const [left, right] = [Math.max(44, scales[0]?.gutter ?? 0), width - (scales[1]?.gutter ?? 8)];
  const perMs = (right - left) / (to - from);
  return { left, right, top, bottom, scales, x: (ms) => left + (ms - from) * perMs, timeAt: (x) => from + (x - left) / perMs };
}

// Sets the least and greatest value of a scale: of what is shown, and of the limits close to it.
function fit(scale, from, to, limits) {
  if (scale.words) {
    [scale.low, scale.high] = [-0.5, scale.words.length - 0.5];
    return;
  }
  const all = scale.series.map((each) => each.extent(from, to)).filter(({ size }) => size);
  let low = Math.min(...all.map((each) => each.low));
  let high = Math.max(...all.map((each) => each.high));
  if (!all.length) [low, high] = [0, 1];
  // Noise below what the values show is not magnified.
  const { decimals } = scale.series[0];
  const most = Math.max(Math.abs(low), Math.abs(high));
  // Nor is that of the arithmetic, where a step between two ticks is lost beside the value.
  const least = Math.max(decimals === undefined ? most * 0.01 || 1 : 4 * 10 ** -decimals, most * 1e-9);
  if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
  const span = high - low;
  limits.map(({ value }) => value).filter((value) => value > low - span && value < high + span).forEach((value) => {
    [low, high] = [Math.min(low, value), Math.max(high, value)];
  });
  [scale.low, scale.high] = [low - (high - low) * 0.08, high + (high - low) * 0.08];
}

export function drawChart(context, chart, color) {
  const { place, width, height } = chart;
  const { left, right, top, bottom } = place;
  context.clearRect(0, 0, width, height);
  drawAxes(context, chart, color);
  context.save();
  context.beginPath();
  context.rect(left, top - 2, right - left, bottom - top + 8);
  context.clip();
  chart.gaps.forEach((gap) => drawGap(context, chart, gap, color));
  if (place.scales.length) {
    [...chart.series].reverse().forEach((series) => drawSeries(context, chart, series, color));
    drawLevels(context, chart, color);
  }
  context.restore();
}

function drawAxes(context, { place, from, to, width }, color) {
  const { left, right, top, bottom, scales, x } = place;
  context.textBaseline = "middle";
  scales.forEach(({ ticks, y, unit }, i) => {
    context.fillStyle = color(i ? "second" : "text");
    context.textAlign = i ? "left" : "right";
    const at = i ? right + 6 : left - 6;
    ticks.forEach(([value, text]) => {
      context.fillText(text, at, y(value));
      if (!i) line(context, left, y(value), right, y(value), color("grid"));
    });
    context.textAlign = i ? "right" : "left";
    context.fillText(unit, i ? width - 2 : 2, LINE_PX / 2 + 1);
  });
  context.textAlign = "center";
  timeTicks(from, to, (right - left) / 72).forEach(([ms, text, isDay]) => {
    line(context, x(ms), top, x(ms), bottom, color(isDay ? "day" : "grid"));
    context.fillStyle = color(isDay ? "strong" : "text");
    if (x(ms) > left + 8 && x(ms) < right - 14) context.fillText(text, x(ms), bottom + LINE_PX);
  });
}

// A gap is shaded, with its reason where there is room; a mark below the plot shows even the shortest.
function drawGap(context, { place, kinds }, [from, to, kind], color) {
  const { left, right, top, bottom, x } = place;
  const [start, end] = [Math.max(left, x(from)), Math.min(right, x(to))];
  if (end < left || start > right) return;
  context.fillStyle = color(kind);
  const mark = Math.max(3, end - start);
  context.fillRect(Math.min(start, right - mark), bottom + 1, mark, 4);
  if (x(to) - x(from) < 1) return;
  context.globalAlpha = 0.16;
  context.fillRect(start, top, Math.max(1, end - start), bottom - top);
  context.globalAlpha = 1;
  const word = kinds[kind]?.[0] ?? kind;
  if (end - start < LINE_PX) return;
  context.save();
  context.translate((start + end) / 2, (top + bottom) / 2);
  if (context.measureText(word).width + 8 > end - start) context.rotate(-Math.PI / 2);
  context.fillStyle = color("strong");
  context.textAlign = "center";
  context.fillText(word, 0, 0);
  context.restore();
}

// Lines of the borders of bands, with their words at the left, and of the limits, at the right.
function drawLevels(context, { place, bands, limits }, color) {
  const { left, right, top, scales: [{ low, high, y }] } = place;
  const borders = bands.slice(0, -1).map(({ to }, i) => ({ value: to, label: bands[i + 1].word, tone: bands[i + 1].tone || "text", side: "left" }));
  const levels = [...borders, ...limits.map((limit) => ({ ...limit, tone: limit.tone || "bad", side: "right" }))];
  const taken = { left: [], right: [] };
  // From the top, so that the word that gives way is the lower one.
  levels.filter(({ value }) => value >= low && value <= high).sort((a, b) => b.value - a.value).forEach(({ value, label, tone, side }) => {
    context.setLineDash(side === "left" ? [1, 4] : [6, 4]);
    line(context, left, y(value), right, y(value), color(tone));
    context.setLineDash([]);
    // Above its line, or below it where another word is.
    const [above, below] = [y(value) - LINE_PX / 2, y(value) + LINE_PX / 2];
    const isFree = above > top && taken[side].every((each) => Math.abs(each - above) >= LINE_PX - 3);
    taken[side].push(isFree ? above : below);
    context.textAlign = side;
    write(context, label, side === "left" ? left + 6 : right - 6, isFree ? above : below, color(tone), color);
  });
}

// Writes a word that stays readable on lines.
function write(context, word, x, y, style, color) {
  context.lineWidth = 3;
  context.strokeStyle = color("ground");
  context.strokeText(word, x, y);
  context.fillStyle = style;
  context.fillText(word, x, y);
}

function drawSeries(context, { place, series: all, from, to }, series, color) {
  const { x, left, right, scales } = place;
  const { y } = scales.find((scale) => scale.series.includes(series));
  const name = all.indexOf(series) ? "second" : "line";
  context.strokeStyle = context.fillStyle = color(name);
  context.lineJoin = "round";
  for (const { times, means, lows, highs } of series.runs(from, to, (to - from) / (2 * (right - left)))) {
    const n = times.length;
    context.globalAlpha = 0.34;
    context.beginPath();
    for (let i = 0; i < n; i++) context.lineTo(x(times[i]), y(highs[i]));
    for (let i = n - 1; i >= 0; i--) context.lineTo(x(times[i]), y(lows[i]));
    context.fill();
    // The outline keeps a spike of one sample visible.
    context.lineWidth = 1;
    context.stroke();
    context.globalAlpha = 1;
    context.lineWidth = 1.5;
    context.beginPath();
    for (let i = 0; i < n; i++) context.lineTo(x(times[i]), y(means[i]));
    // A point without neighbours has no line.
    if (n === 1) context.arc(x(times[0]), y(means[0]), 1.5, 0, 7);
    if (n === 1 && highs[0] > lows[0]) line(context, x(times[0]), y(lows[0]), x(times[0]), y(highs[0]), color(name));
    context.stroke();
  }
}

export function line(context, x1, y1, x2, y2, style) {
  context.strokeStyle = style;
  context.lineWidth = 1;
  context.beginPath();
  // On the middle of a pixel, a thin line is sharp.
  context.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  context.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5);
  context.stroke();
}
