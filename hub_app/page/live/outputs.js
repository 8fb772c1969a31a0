// State of outputs, plugins and the node itself in their elements, as the events of the bus say it.
import { setText } from "./elements.js";
import { showFields, showReading } from "./readings.js";

const COLOR = /^#[0-9a-f]{6}$/;
const OFF = "#000000";

// By kind of the event: shows it in its element, and returns false where the hub has to render something new.
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
    showSwitch(place, value.state === "disabled");
    return true;
  },
  leds(place, { value: { pixels } }) {
    const dots = [...place.querySelectorAll("circle")];
    if (dots.length !== pixels.length) return false;
    pixels.forEach((color, i) => {
      if (!COLOR.test(color)) return;
      dots[i].setAttribute("fill", color);
      dots[i].closest("button")?.setAttribute("aria-label", `LED ${i}, ${color}`);
    });
    place.setAttribute("aria-label", `${pixels.filter((color) => color !== OFF).length} of ${pixels.length} LEDs lit`);
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
    place.parentElement.querySelectorAll("button[data-fan]").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.fan === value.mode)));
    return showState(place, value.on, `${value.on ? "on" : "off"} (${value.mode})`);
  },
};

// Shows an event in every place of its topic.
export const showIn = (places, event) => places.length > 0 && places.map((place) => showKind[event.kind](place, event)).every(Boolean);

// Shows the one of both buttons that has an effect; the focus goes with it.
function showSwitch(place, isDisabled) {
  const enable = place.querySelector("[data-action=enable]");
  const disable = place.querySelector("[data-action=disable]");
  if (!enable || !disable || enable.hidden !== isDisabled) return;
  const [shown, hidden] = isDisabled ? [enable, disable] : [disable, enable];
  const hadFocus = document.activeElement === hidden;
  shown.hidden = false;
  if (hadFocus) shown.focus();
  hidden.hidden = true;
}

function showState(place, on, text) {
  const state = place.querySelector(".state");
  state.toggleAttribute("data-on", on);
  setText(state, text);
  return true;
}
