// Commands to the hub as JSON.
import { urlOf } from "../live/paths.js";

// Returns an empty text, or the reason why it was not done.
export async function send(method, path, body) {
  try {
    const answer = await fetch(urlOf(path), {
      method,
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const result = await answer.json();
    return result.ok ? "" : result.error;
  } catch {
    return "the hub does not answer";
  }
}
