// Commands to the hub as JSON.
import { urlOf } from "../live/paths.js";

// Returns the answer of the hub: `ok`, and `error` where it was not done.
export async function request(method, path, body) {
  try {
    const answer = await fetch(urlOf(path), {
      method,
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return await answer.json();
  } catch {
    return { ok: false, error: "the hub does not answer" };
  }
}

// Returns an empty text, or the reason why it was not done.
export async function send(method, path, body) {
  const { ok, error } = await request(method, path, body);
  return ok ? "" : error || "it was not done";
}
