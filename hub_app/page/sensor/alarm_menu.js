// Menu of a chart: the alarm above or below a value, as links to the form of a rule that they fill in.
import { replaceContent } from "../live/elements.js";
import { urlOf } from "../live/paths.js";

const BESIDE_PX = 12; // so that a second click still meets the chart

export class AlarmMenu {
  // `format` writes a value; `rule` has node, sensor and field; `area` is the element of the chart.
  constructor(area, format, rule) {
    Object.assign(this, { area, format, rule });
    this.element = Object.assign(document.createElement("p"), { className: "chart-menu", hidden: true });
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "New alarm");
    const closeByKey = ({ key }) => key === "Escape" && this.close();
    [area, this.element].forEach((each) => each.addEventListener("keydown", closeByKey));
    area.addEventListener("dblclick", () => this.close());
    document.addEventListener("pointerdown", ({ target }) => this.element.contains(target) || this.close());
  }

  // Opens beside a place in the chart; by key, the focus goes to the first link.
  open({ value, x, y, isByKey }) {
    replaceContent(this.element, ["above", "below"].map((side) => this.link(side, value)));
    this.element.hidden = false;
    const { clientWidth, clientHeight } = this.area;
    const { offsetWidth, offsetHeight } = this.element;
    const isLeft = x + BESIDE_PX + offsetWidth > clientWidth;
    const left = isLeft ? x - BESIDE_PX - offsetWidth : x + BESIDE_PX;
    this.element.style.left = `${Math.max(0, left)}px`;
    this.element.style.top = `${Math.max(0, Math.min(y - offsetHeight / 2, clientHeight - offsetHeight))}px`;
    this.area.chart.markValue(value);
    if (isByKey) this.element.firstElementChild.focus();
  }

  link(side, value) {
    const query = new URLSearchParams({ ...this.rule, [side]: value });
    const link = document.createElement("a");
    link.href = `${urlOf("/alarms")}?${query}#rule`;
    link.textContent = `Alarm ${side} ${this.format(value)}`;
    return link;
  }

  close() {
    if (this.element.hidden) return;
    if (this.element.contains(document.activeElement)) this.area.focus();
    this.element.hidden = true;
    this.area.chart.markValue(null);
  }
}
