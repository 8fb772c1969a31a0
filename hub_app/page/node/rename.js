// Change of a node's id: asks once in a dialog, then tells the hub.
import { request } from "../commands/post.js";
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
  const { ok, error, credentials } = await request("POST", `/api/nodes/${encodeURIComponent(node)}/rename`, { to });
  if (ok) onDone();
  alert(ok ? `${node} is ${to} from now on. Copy ${credentials} from the hub to it.` : `${node}: ${error}`);
  if (ok) location.assign(urlOf("/"));
}
