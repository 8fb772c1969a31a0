// Rules of alarms: the form of one, and the buttons of those that exist.
import { send } from "../commands/post.js";
import { setText } from "../live/elements.js";

const NUMBERS = ["below", "clear", "for_s"];

export async function saveRule(rule) {
  const fault = await send("POST", "/api/alarms/rules", rule);
  return `${rule.name}: ${fault || "saved"}`;
}

export async function deleteRule(name) {
  const fault = await send("DELETE", `/api/alarms/rules/${encodeURIComponent(name)}`);
  return `${name}: ${fault || "deleted"}`;
}

// Returns the rule that a form says, without what is empty or not asked for by its kind.
function ruleOf(form) {
  const inputs = [...form.elements].filter(({ name }) => name).filter((input) => !input.closest("[hidden]"));
  const given = inputs.map(({ name, value }) => [name, value.trim()]).filter(([, value]) => value !== "" && value !== "*");
  return Object.fromEntries(given.map(([name, value]) => [name, isNumber(name, value) ? Number(value) : value]));
}

// `above` may be the word of a band.
const isNumber = (name, value) => NUMBERS.includes(name) || (name === "above" && !Number.isNaN(Number(value)));

function suggestedName({ field, above, below, sensor }) {
  const side = above.value ? "above" : below.value ? "below" : "";
  const words = `${field.value} ${side} ${sensor.value}`.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return side && field.value ? words.join("-").slice(0, 32).replace(/-$/, "") : "";
}

// Shows the inputs that the kind has.
function followKind(form) {
  const kind = form.elements.kind.value;
  form.querySelectorAll("[data-kinds]").forEach((label) => (label.hidden = !label.dataset.kinds.split(" ").includes(kind)));
}

// `say` gets what became of a rule that was saved.
export function followForm(say) {
  const form = document.getElementById("rule-form");
  if (!form) return;
  const { name } = form.elements;
  let isNamed = name.value !== "";
  followKind(form);
  form.elements.kind.addEventListener("change", () => followKind(form));
  form.addEventListener("input", ({ target }) => {
    if (target === name) isNamed = name.value !== "";
    if (!isNamed) name.value = suggestedName(form.elements);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const rule = ruleOf(form);
    const fault = await send("POST", "/api/alarms/rules", rule);
    setText(document.getElementById("rule-fault"), fault);
    if (!fault) say(`${rule.name}: saved`);
  });
}
