// Gestures on a chart: drag, wheel, pinch and keys move its range and its cursor.

const CLICK_PX = 6;
const WHEEL_END_MS = 250;
let scrolledMs = -Infinity;
addEventListener("scroll", () => (scrolledMs = performance.now()), { passive: true, capture: true });

export function listen(area, chart) {
  const fingers = new Map(); // pointer -> [x, x at its start, time at its start, y at its start]
  const xOf = (event) => event.clientX - area.getBoundingClientRect().left;
  const yOf = (event) => event.clientY - area.getBoundingClientRect().top;
  const isTouch = (event) => event.pointerType === "touch";
  let wheelTimer = 0;

  area.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const x = xOf(event);
    fingers.set(event.pointerId, [x, x, chart.timeAt(x), yOf(event)]);
    area.setPointerCapture?.(event.pointerId);
    if (isTouch(event)) chart.pointAt(x);
  });
  area.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (finger) finger[0] = xOf(event);
    if (fingers.size === 2) pinch([...fingers.values()]);
    else if (!finger || isTouch(event)) chart.pointAt(xOf(event));
    else if (event.shiftKey) chart.pan(finger[2] - chart.timeAt(finger[0]), false);
    else chart.select([finger[1], finger[0]].map(chart.timeAt).sort((a, b) => a - b));
  });
  area.addEventListener("pointerup", (event) => {
    if (fingers.size === 2) endPinch();
    else if (fingers.has(event.pointerId)) endDrag(fingers.get(event.pointerId), yOf(event));
    forget(event);
  });
  area.addEventListener("pointercancel", forget);
  area.addEventListener("pointerleave", (event) => !isTouch(event) && chart.pointAt(null));
  area.addEventListener("dblclick", () => chart.reset());

  function endDrag([x, startX, , startY], y) {
    const isFar = Math.abs(x - startX) > CLICK_PX;
    if (chart.selection && isFar) chart.zoomTo(...chart.selection, true);
    else if (!isFar && Math.abs(y - startY) <= CLICK_PX) chart.pick(x, y);
  }

  // The finger that stays clicks nothing when it is lifted.
  function endPinch() {
    fingers.forEach((finger) => (finger[1] = -Infinity));
    chart.zoomTo(chart.from, chart.to, true);
  }

  function forget(event) {
    fingers.delete(event.pointerId);
    chart.select(null);
  }

  // The times that the two fingers began at stay below them.
  function pinch([[x1, , t1], [x2, , t2]]) {
    const perPx = (t2 - t1) / (x2 - x1 || 1);
    if (perPx > 0) chart.zoomTo(t1 - (x1 - chart.place.left) * perPx, t1 + (chart.place.right - x1) * perPx, false);
  }

  area.addEventListener("wheel", (event) => {
    // A page that is being scrolled goes on below the pointer.
    if (performance.now() - scrolledMs < WHEEL_END_MS) return;
    event.preventDefault();
    const [dx, dy] = [event.deltaX, event.deltaY].map((delta) => delta * (event.deltaMode ? 16 : 1));
    if (event.shiftKey || Math.abs(dx) > Math.abs(dy)) chart.pan(((dx || dy) / area.clientWidth) * (chart.to - chart.from), false);
    else chart.zoom(1.002 ** dy, chart.timeAt(xOf(event)), false);
    clearTimeout(wheelTimer);
    wheelTimer = setTimeout(() => chart.zoomTo(chart.from, chart.to, true), WHEEL_END_MS);
  }, { passive: false });

  const span = () => chart.to - chart.from;
  const keys = {
    ArrowLeft: (event) => chart.step(event.shiftKey ? -10 : -1),
    ArrowRight: (event) => chart.step(event.shiftKey ? 10 : 1),
    Home: () => chart.step(-Infinity),
    End: () => chart.step(Infinity),
    PageUp: () => chart.pan(-span() / 2, true),
    PageDown: () => chart.pan(span() / 2, true),
    "+": () => chart.zoom(0.5, chart.cursor?.time, true),
    "-": () => chart.zoom(2, chart.cursor?.time, true),
    0: () => chart.reset(),
    Enter: () => chart.pickPoint(),
    Escape: () => chart.pointAt(null),
  };
  keys["="] = keys["+"];
  area.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key](event);
  });
}
