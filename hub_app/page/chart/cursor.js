// Drawing of what moves above the series: cursor, selection, marked value. Its canvas is the upper one.
import { line } from "./draw.js";

export function drawCursor(context, { place, width, height, selection, cursor, marked, series }, color) {
  const { left, right, top, bottom, x, scales } = place;
  context.clearRect(0, 0, width, height);
  if (selection) {
    const [start, end] = selection.map(x);
    context.globalAlpha = 0.25;
    context.fillStyle = color("line");
    context.fillRect(start, top, end - start, bottom - top);
    context.globalAlpha = 1;
  }
  if (marked !== null && scales.length) line(context, left, scales[0].y(marked), right, scales[0].y(marked), color("warm"));
  if (!cursor) return;
  line(context, x(cursor.time), top, x(cursor.time), bottom, color("strong"));
  cursor.points.forEach((i, k) => {
    const scale = scales.find((each) => each.series.includes(series[k]));
    if (i < 0 || !scale) return;
    context.fillStyle = color(k ? "second" : "line");
    context.beginPath();
    context.arc(x(series[k].times[i]), scale.y(series[k].means[i]), 4, 0, 7);
    context.fill();
  });
}
