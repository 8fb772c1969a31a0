// Settings of a plugin: a form made from their descriptions, whose changes go to the node.
import { replaceContent, setText } from "./elements.js";
import { urlOf } from "./paths.js";

const INPUT_TYPES = { number: "number", integer: "number", text: "text", switch: "checkbox" };

function made(tag, attributes) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  return element;
}

function inputOf(name, described, value) {
  if (described.type === "choice") {
    const select = made("select", { name });
    select.append(...described.choices.map((choice) => new Option(choice, choice)));
    select.value = value;
    return select;
  }
  const step = { number: "any", integer: 1 }[described.type];
  const { min, max } = described;
  const input = made("input", { name, type: INPUT_TYPES[described.type], step, min, max });
  if (described.type === "switch") input.checked = value;
  else input.value = value;
  return input;
}

function rowOf(name, described, value) {
  const label = document.createElement("label");
  const unit = described.unit ? ` (${described.unit})` : "";
  label.append(`${described.label || name}${unit}`, inputOf(name, described, value));
  return label;
}

// An emptied number brings the configuration's value back.
function valueOf(input, { type }) {
  if (type === "switch") return input.checked;
  if (type !== "number" && type !== "integer") return input.value;
  return input.value === "" ? null : input.valueAsNumber;
}

// `plugin` is the newest event of a plugin's state.
export function askForSettings({ node, name: plugin, value: { settings = {}, described = {} } }) {
  const dialog = document.getElementById("settings-dialog");
  // Browsers before 2022 have no dialogs; `plugins/cmd` takes the same.
  if (!dialog?.showModal) return;
  const before = new Map(Object.entries(settings));
  const all = Object.entries(described).map(([name, of]) => [name, of, before.has(name) ? before.get(name) : of.default]);
  const rows = all.map((one) => rowOf(...one));
  setText(dialog.querySelector(".question"), `Settings of ${plugin} of ${node}. They hold from the next poll on.`);
  replaceContent(dialog.querySelector(".inputs"), rows);
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "save") return;
    const changed = all
      .map(([name, of, value], i) => [name, valueOf(rows[i].querySelector("input, select"), of), value])
      .filter(([, value, old]) => value !== old);
    if (changed.length) set(node, plugin, Object.fromEntries(changed));
  };
  dialog.showModal();
}

async function set(node, plugin, settings) {
  // Looked up when there is something to say: the page may have been swapped meanwhile.
  const say = (text) => setText(document.getElementById("plugin-answer"), text);
  say(`${plugin} of ${node}: set ...`);
  try {
    const answer = await fetch(urlOf("/api/plugins"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ node, plugin, action: "set", settings }),
    });
    const result = await answer.json();
    say(`${plugin} of ${node}: ${result.ok ? "set done" : result.error}`);
  } catch {
    say(`${plugin} of ${node}: the hub does not answer`);
  }
}
