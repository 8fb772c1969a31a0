// What the buttons ask of the nodes. The hub answers with the node's own words.
import { elementsOf, setText } from "./elements.js";

function soundOf({ node, pattern }) {
  return {
    path: "/api/buzzer",
    body: { node, pattern },
    what: `buzzer: ${pattern}`,
    who: "buzzer",
    say: (text) => elementsOf("answersOf", "[data-answers-of]", node).forEach((element) => setText(element, text)),
  };
}

function actionOf({ node, commands: plugin, action }) {
  return {
    path: "/api/plugins",
    body: { node, plugin, action },
    what: `${plugin} of ${node}: ${action}`,
    who: `${plugin} of ${node}`,
    // Looked up when there is something to say: the page may have been swapped meanwhile.
    say: (text) => setText(document.getElementById("plugin-answer"), text),
  };
}

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return answer.json();
}

// Carries out what a button stands for. It stays focusable while the node is asked, and a second
// click asks nothing.
export async function command(button) {
  if (button.ariaDisabled === "true") return;
  const { path, body, what, who, say } = button.dataset.pattern ? soundOf(button.dataset) : actionOf(button.dataset);
  button.ariaDisabled = "true";
  say(`${what} ...`);
  try {
    const said = await ask(path, body);
    say(said.ok ? `${what} done` : `${who}: ${said.error}`);
  } catch {
    say(`${who}: the hub does not answer`);
  } finally {
    button.ariaDisabled = null;
  }
}
