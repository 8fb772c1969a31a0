// Settings of a plugin: a form made from their descriptions, whose changes go to the node.
import { replaceContent, setText } from "../live/elements.js";
import { send } from "./post.js";

const INPUT_TYPES = { number: "number", integer: "number", text: "text", switch: "checkbox" };
const ALL_SENSORS = "";

function made(tag, attributes) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  return element;
}

// The values that a list offers, in words and as they are.
function optionsOf(described) {
  if (described.type === "choice") return described.choices.map((choice) => [choice, choice]);
  return [["on", true], ["off", false]];
}

function selectOf(name, options, value) {
  const select = made("select", { name });
  for (const [text, one] of options) {
    const option = new Option(text, one ?? "", false, one === value);
    option.dataset.json = JSON.stringify(one);
    select.append(option);
  }
  return select;
}

// Input of one setting. `own` is its value, null for a sensor that has none of its own; `inherited`
// is then the value of the plugin, and undefined in the form for all sensors.
function inputOf({ name, described, own, inherited }) {
  const isOfSensor = inherited !== undefined;
  if (described.type === "choice" || (isOfSensor && described.type === "switch")) {
    const options = optionsOf(described);
    const [word] = options.find(([, value]) => value === inherited) ?? [];
    return selectOf(name, isOfSensor ? [[`as all sensors: ${word}`, null], ...options] : options, own);
  }
  const step = { number: "any", integer: 1 }[described.type];
  const { min, max } = described;
  const input = made("input", { name, type: INPUT_TYPES[described.type], step, min, max, placeholder: inherited });
  if (described.type === "switch") input.checked = own;
  else input.value = own ?? "";
  return input;
}

function rowOf(setting) {
  const { name, described } = setting;
  const label = document.createElement("label");
  const unit = described.unit ? ` (${described.unit})` : "";
  label.append(`${described.label || name}${unit}`, inputOf(setting));
  return label;
}

// An emptied number brings the configuration's value back, and any emptied input of a sensor the plugin's.
function valueOf(input, { described: { type }, inherited }) {
  if (input.tagName === "SELECT") return JSON.parse(input.selectedOptions[0].dataset.json);
  if (type === "switch") return input.checked;
  if (input.value === "" && (type !== "text" || inherited !== undefined)) return null;
  return type === "text" ? input.value : input.valueAsNumber;
}

// The settings of a form: those of the plugin, or those that `sensor` may have of its own.
function settingsOf({ settings = {}, described = {}, sensors = {} }, sensor) {
  const all = Object.entries(described).map(([name, of]) => {
    const value = Object.prototype.hasOwnProperty.call(settings, name) ? settings[name] : of.default;
    return { name, described: of, own: value, inherited: undefined };
  });
  if (sensor === ALL_SENSORS) return all;
  const own = new Map(Object.entries(sensors[sensor] ?? {}));
  return all
    .filter(({ described: of }) => of.scope === "sensor")
    .map((one) => ({ ...one, own: own.get(one.name) ?? null, inherited: one.own }));
}

// What people call a sensor, where they gave it a name.
function titleOf(node, sensor) {
  const named = [...document.querySelectorAll("[data-name-of][data-sensor]")].find(
    ({ dataset }) => dataset.nameOf === node && dataset.sensor === sensor,
  );
  return named?.dataset.title ? `${named.dataset.title} (${sensor})` : sensor;
}

function sensorSelect(node, sensors) {
  const select = made("select", { name: "of-sensor" });
  select.append(
    new Option("all sensors", ALL_SENSORS),
    ...sensors.map((sensor) => new Option(titleOf(node, sensor), sensor)),
  );
  return select;
}

// `plugin` is the newest event of a plugin's state; the form begins with the settings of `sensor`, where it may
// have some of its own.
export function askForSettings({ node, name: plugin, value: state }, sensor = ALL_SENSORS) {
  const dialog = document.getElementById("settings-dialog");
  // Browsers before 2022 have no dialogs; `plugins/cmd` takes the same.
  if (!dialog?.showModal) return;
  const sensors = Object.keys(state.sensors ?? {});
  const chosen = sensorSelect(node, sensors);
  const choice = document.createElement("label");
  choice.append("Sensor", chosen);
  const rows = document.createElement("div");
  let form = [];
  const fill = () => {
    form = settingsOf(state, chosen.value).map((setting) => ({ setting, row: rowOf(setting) }));
    replaceContent(rows, form.map(({ row }) => row));
    const hint = chosen.value === ALL_SENSORS ? "" : " One without a value has that of all sensors.";
    setText(
      dialog.querySelector(".question"),
      `Settings of ${plugin} of ${node}. They hold from the next poll on.${hint}`,
    );
  };
  replaceContent(dialog.querySelector(".inputs"), sensors.length ? [choice, rows] : [rows]);
  if (sensors.includes(sensor)) chosen.value = sensor;
  chosen.onchange = fill;
  fill();
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "save") return;
    const changed = form
      .map(({ setting, row }) => [setting, valueOf(row.querySelector("input, select"), setting)])
      .filter(([{ own }, value]) => value !== own)
      .map(([{ name }, value]) => [name, value]);
    if (changed.length) set(node, plugin, chosen.value, Object.fromEntries(changed));
  };
  dialog.showModal();
}

async function set(node, plugin, sensor, settings) {
  // Looked up when there is something to say: the page may have been swapped meanwhile.
  const say = (text) => setText(document.getElementById("plugin-answer"), text);
  const name = sensor === ALL_SENSORS ? `${plugin} of ${node}` : `${sensor} of ${node}`;
  const command = { node, plugin, action: "set", settings };
  if (sensor !== ALL_SENSORS) command.sensor = sensor;
  say(`${name}: set ...`);
  const error = await send("POST", "/api/plugins", command);
  say(`${name}: ${error || "set done"}`);
}
