// Colours of a node's LED strip, as somebody sets them.
import { send } from "../commands/post.js";
import { setText } from "../live/elements.js";

const OFF = "#000000";

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
