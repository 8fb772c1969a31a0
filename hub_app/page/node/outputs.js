// Outputs of a node: their state as it changes, and the colours of the strip.
import { send } from "../commands/post.js";
import { setText } from "../live/elements.js";

const COLOR = /^#[0-9a-f]{6}$/;
const OFF = "#000000";

function showState(place, on, text) {
  const state = place.querySelector(".state");
  state.toggleAttribute("data-on", on);
  setText(state, text);
}

function showStrip(strip, pixels) {
  const dots = [...strip.querySelectorAll("circle")];
  if (dots.length !== pixels.length) return false;
  pixels.forEach((color, i) => {
    if (!COLOR.test(color)) return;
    dots[i].setAttribute("fill", color);
    dots[i].closest("button")?.setAttribute("aria-label", `LED ${i}, ${color}`);
  });
  strip.setAttribute("aria-label", `${pixels.filter((color) => color !== OFF).length} of ${pixels.length} LEDs lit`);
  return true;
}

function showPicture(place, { on, digest }) {
  const picture = place.querySelector("img");
  const path = `${picture.dataset.path}?v=${encodeURIComponent(digest)}`;
  if (picture.getAttribute("src") !== path) picture.setAttribute("src", path);
  showState(place, on, on ? "on" : "off");
}

// By kind of the event: shows it in its elements, and returns false where there is none.
export const outputKinds = {
  leds: (places, { value }) => places.length > 0 && places.every((place) => showStrip(place, value.pixels)),
  oled(places, { value }) {
    places.forEach((place) => showPicture(place, value));
    return places.length > 0;
  },
  buzzer(places, { value }) {
    places.forEach((place) => showState(place, value.sounding, value.sounding ? `sounding ${value.pattern}` : "silent"));
    return places.length > 0;
  },
  fan(places, { value }) {
    places.forEach((place) => {
      showState(place, value.on, `${value.on ? "on" : "off"} (${value.mode})`);
      place.parentElement.querySelectorAll("[data-fan]").forEach((button) =>
        button.setAttribute("aria-pressed", String(button.dataset.fan === value.mode)));
    });
    return places.length > 0;
  },
};

function colorCommand({ id, dataset }) {
  const color = document.getElementById("led-color")?.value;
  if (id === "leds-all") return { all: color };
  if (id === "leds-off") return { all: OFF };
  return dataset.led === undefined ? null : { index: Number(dataset.led), color };
}

// Sends the chosen colour where a button of the strip was pressed.
export async function sendColor(node, button) {
  const colors = colorCommand(button);
  if (!colors) return;
  const fault = await send("POST", "/api/leds", { node, ...colors });
  if (fault) setText(document.getElementById("output-answer"), `leds: ${fault}`);
}
