// Removal of nodes and sensors: asks once in a dialog, then tells the hub.
import { setText } from "../live/elements.js";
import { send } from "./post.js";

const WHAT = "It is gone from the page, the topics and the metrics.";

// `removed` is a node, or a sensor as node:sensor; `onRemoved` is called when it is gone.
export function askToRemove(removed, onRemoved = () => {}) {
  const dialog = document.getElementById("remove-dialog");
  if (!dialog) return;
  const question = `Remove ${removed}? ${WHAT}`;
  // Browsers before 2022 have no dialogs.
  if (!dialog.showModal) {
    if (confirm(question)) remove(removed, false, onRemoved);
    return;
  }
  const history = dialog.querySelector("input");
  history.checked = false;
  setText(dialog.querySelector(".question"), question);
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "remove" && remove(removed, history.checked, onRemoved);
  dialog.showModal();
}

async function remove(removed, history, onRemoved) {
  const kind = removed.includes(":") ? "sensors" : "nodes";
  const error = await send("POST", `/api/${kind}/${encodeURIComponent(removed)}/remove`, { history });
  if (error) alert(`${removed}: ${error}`);
  else onRemoved();
}
