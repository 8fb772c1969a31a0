// Replaces parts of a page by those of a fresh copy from the hub, which renders them.
import { showTimes } from "../log/lines.js";

let isSwapping = false;
let isWanted = false;

// Replaces the elements with these ids. Focus, open details and what somebody is about to choose stay.
export async function swapParts(ids) {
  if (isSwapping) {
    isWanted = true;
    return;
  }
  isSwapping = true;
  try {
    const answer = await fetch(location.pathname + location.search);
    if (answer.redirected) location.replace(answer.url);
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    ids.forEach((id) => swapOne(document.getElementById(id), fresh.getElementById(id)));
  } catch {
    // The hub does not answer; the page stays as it is.
  } finally {
    isSwapping = false;
    if (isWanted) {
      isWanted = false;
      swapParts(ids);
    }
  }
}

const rendered = new Map(); // id -> markup of the part that is shown

function swapOne(old, fresh) {
  if (!old || !fresh) return;
  const markup = fresh.innerHTML;
  if (rendered.get(old.id) === markup || old.querySelector("select:focus, input:focus")) return;
  rendered.set(old.id, markup);
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const open = [...old.querySelectorAll("details[open]")].map((details) => details.id);
  const chosen = [...old.querySelectorAll("select[id], input[id]")].map(({ id, value }) => [id, value]);
  old.replaceWith(document.adoptNode(fresh));
  showTimes(fresh);
  chosen.forEach(([id, value]) => document.getElementById(id) && (document.getElementById(id).value = value));
  open.forEach((id) => id && document.getElementById(id)?.setAttribute("open", ""));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}
