// Delivery of plugins: the form that deploys a bundle, and the buttons that roll one back.
import { send } from "../commands/post.js";
import { setText } from "../live/elements.js";

// Byte by byte: a call takes no 150,000 arguments.
function base64(buffer) {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}

// A request has 8 s for its body, too few for the 18 MB of a component.
function refusal({ file, plugin, to }) {
  if (!file.files[0]?.name.endsWith(".wasm")) return "";
  const where = to.value ? `--to ${to.value}` : "--all";
  return `A component is too large for this form. On the hub, run: sudo harvester plugins deploy ${plugin.value}.wasm ${where}`;
}

async function body(fields) {
  const { file, plugin, to, canary, area, polls } = fields;
  const where = to.value ? { nodes: [to.value] } : area.value ? { area: area.value } : { all: true };
  return {
    plugin: plugin.value,
    bundle: base64(await file.files[0].arrayBuffer()),
    canary: canary.value,
    polls: Number(polls.value),
    ...where,
  };
}

export function startDeploying(refresh) {
  const form = document.getElementById("deploy-form");
  const fault = document.getElementById("deploy-fault");
  form?.elements.file.addEventListener("change", ({ target }) => {
    form.elements.plugin.value ||= target.files[0]?.name.replace(/\.(bundle|wasm)$/, "") ?? "";
  });
  form?.addEventListener("change", () => setText(fault, refusal(form.elements)));
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const refused = refusal(form.elements);
    if (refused) return setText(fault, refused);
    const error = await send("POST", "/api/deliveries", await body(form.elements));
    setText(fault, error);
    await refresh();
  });
  // The panel is swapped, so the document listens.
  document.addEventListener("click", async ({ target }) => {
    const said = target.closest?.("[data-roll-back]")?.dataset.rollBack;
    if (!said) return;
    const error = await send("POST", "/api/deliveries/rollback", JSON.parse(said));
    await refresh();
    setText(document.getElementById("delivery-answer"), error);
  });
}
