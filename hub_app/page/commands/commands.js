// Commands of the buttons. The hub's response carries the error of the node.
import { elementsOf, setText } from "../live/elements.js";
import { send } from "./post.js";

function buzzerCommand({ node, pattern }) {
  return {
    path: "/api/buzzer",
    body: { node, pattern },
    what: `buzzer: ${pattern}`,
    who: "buzzer",
    say: (text) => elementsOf("answersOf", "[data-answers-of]", node).forEach((element) => setText(element, text)),
  };
}

function pluginCommand({ node, commands: plugin, action }) {
  return {
    path: "/api/plugins",
    body: { node, plugin, action },
    what: `${plugin} of ${node}: ${action}`,
    who: `${plugin} of ${node}`,
    // Looked up when there is something to say: the page may have been swapped meanwhile.
    say: (text) => setText(document.getElementById("plugin-answer"), text),
  };
}

// Sends the command of a button. While it runs, the button keeps the focus and ignores clicks.
export async function command(button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const { path, body, what, who, say } = button.dataset.pattern ? buzzerCommand(button.dataset) : pluginCommand(button.dataset);
  button.setAttribute("aria-disabled", "true");
  say(`${what} ...`);
  const error = await send("POST", path, body);
  say(error ? `${who}: ${error}` : `${what} done`);
  button.removeAttribute("aria-disabled");
}
