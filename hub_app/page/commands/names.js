// Names of sensors and nodes: a dialog for title and area, whose changes go to the node.
import { setText } from "../live/elements.js";
import { send } from "./post.js";

// `button` has the node, the sensor where it is one, and the names of now.
export function askForName(button) {
  const dialog = document.getElementById("name-dialog");
  // Browsers before 2022 have no dialogs; `names/cmd` takes the same.
  if (!dialog?.showModal) return;
  const { nameOf: node, sensor, title, area } = button.dataset;
  const inputs = Object.fromEntries([...dialog.querySelectorAll("input")].map((input) => [input.name, input]));
  inputs.title.value = title;
  inputs.area.value = area;
  setText(dialog.querySelector(".question"), `Name of ${sensor ? `${node}:${sensor}` : node}. Its id stays.`);
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "save") return;
    const changed = Object.entries({ title, area })
      .map(([name, before]) => [name, inputs[name].value.trim(), before])
      .filter(([, value, before]) => value !== before);
    if (changed.length) give({ node, sensor, ...Object.fromEntries(changed) });
  };
  dialog.showModal();
}

async function give(names) {
  const named = names.sensor ? `${names.node}:${names.sensor}` : names.node;
  const error = await send("POST", "/api/names", names);
  // Where there is none, the node publishes the description again, which the page follows.
  if (error) alert(`${named}: ${error}`);
}
