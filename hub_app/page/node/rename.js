// Change of a node's id: asks once in a dialog, then tells the hub.
import { urlOf } from "../live/paths.js";

// `onDone` is called when the node is about to be gone under its old id.
export function askToRename(node, onDone) {
  const dialog = document.getElementById("rename-dialog");
  // Browsers before 2022 have no dialogs; `harvester node rename` does the same.
  if (!dialog?.showModal) return;
  const input = dialog.querySelector("input");
  input.value = "";
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue === "rename" && rename(node, input.value.trim(), onDone);
  dialog.showModal();
}

async function rename(node, to, onDone) {
  try {
    const answer = await fetch(urlOf(`/api/nodes/${encodeURIComponent(node)}/rename`), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ to }),
    });
    const result = await answer.json();
    if (result.ok) onDone();
    alert(result.ok ? `${node} is ${to} from now on. Copy ${result.credentials} from the hub to it.` : `${node}: ${result.error}`);
    if (result.ok) location.assign(urlOf("/"));
  } catch {
    alert(`${node}: the hub does not answer`);
  }
}
