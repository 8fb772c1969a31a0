// Outputs of the nodes: strips, displays, buzzers, fans, and the state of each plugin.
import { setText } from "../live/elements.js";
import { showFields, showReading } from "../live/readings.js";

const COLOR = /^#[0-9a-f]{6}$/;
const SVG = "http://www.w3.org/2000/svg";

// Shows an event of each kind in its element; returns true if every value has an element.
export const showKind = {
  reading: showReading,
  heartbeat(place, { value }) {
    showFields(place, value);
    return true;
  },
  plugin(place, { value }) {
    place.dataset.plugin = value.state;
    showFields(place, value);
    const settings = place.querySelector("[data-settings-of]");
    if (settings) settings.hidden = !Object.keys(value.described ?? {}).length;
    return true;
  },
  leds(place, { value }) {
    const dots = [...place.querySelectorAll("circle")];
    value.pixels.forEach((color, i) => {
      if (COLOR.test(color)) (dots[i] ?? addDot(place)).setAttribute("fill", color);
    });
    dots.slice(value.pixels.length).forEach((dot) => dot.parentElement.remove());
    const lit = value.pixels.filter((color) => color !== "#000000").length;
    place.setAttribute("aria-label", `${lit} of ${value.pixels.length} LEDs lit`);
    return true;
  },
  oled(place, { value }) {
    const picture = place.querySelector("img");
    const path = `${picture.dataset.path}?v=${encodeURIComponent(value.digest)}`;
    if (picture.getAttribute("src") !== path) picture.setAttribute("src", path);
    return showState(place, value.on, value.on ? "on" : "off");
  },
  buzzer(place, { value }) {
    return showState(place, value.sounding, value.sounding ? `sounding ${value.pattern}` : "silent");
  },
  fan(place, { value }) {
    return showState(place, value.on, `${value.on ? "on" : "off"} (${value.mode})`);
  },
};

function addDot(strip) {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", "0 0 16 16");
  picture.setAttribute("class", "led");
  const dot = document.createElementNS(SVG, "circle");
  for (const [name, value] of [["cx", 8], ["cy", 8], ["r", 6]]) dot.setAttribute(name, value);
  picture.append(dot);
  strip.append(picture);
  return dot;
}

function showState(place, on, text) {
  const state = place.querySelector(".state");
  state.toggleAttribute("data-on", on);
  setText(state, text);
  return true;
}
