// Turns of the windows of one browser to have an event stream. Over HTTP/1.1 a browser opens six connections to
// a hub, and each stream holds one: where more windows are in view, those that were used last have a stream.
const MOST_STREAMS = 4; // the other connections are for pages and their requests
const SAY_MS = 10000;
const SILENT_MS = 30000; // a window that crashed says nothing

const id = `${Date.now()} ${Math.random()}`;
const others = new Map(); // id of another window with a stream -> when it was used, and when that was said
// Browsers before 2022 may have no channel: their windows do not know of each other.
const channel = isLimited() && typeof BroadcastChannel === "function" ? new BroadcastChannel("harvester-streams") : null;

let usedMs = 0; // when somebody used this window last
let isTaken = false;
let onChange = () => {};

function isLimited() {
  const [navigation] = performance.getEntriesByType("navigation");
  return !navigation || ["", "http/1.0", "http/1.1"].includes(navigation.nextHopProtocol);
}

const say = (isNew = false) => channel?.postMessage({ id, usedMs: isTaken ? usedMs : 0, isNew });

// Whether this window may have a stream.
export function hasTurn() {
  const later = [...others].filter(([other, { at }]) => at > usedMs || (at === usedMs && other > id));
  return later.length < MOST_STREAMS;
}

// Takes a turn as the window that is used now.
export function useTurn() {
  usedMs = Date.now();
  takeTurn();
}

export function takeTurn() {
  const isNew = !isTaken;
  isTaken = true;
  say(isNew);
}

export function leaveTurn() {
  if (!isTaken) return;
  isTaken = false;
  say();
}

// Calls `listener` when other windows take or leave their turns.
export function watchTurns(listener) {
  onChange = listener;
  if (!channel) return;
  channel.onmessage = ({ data }) => {
    if (data.usedMs) others.set(data.id, { at: data.usedMs, saidMs: performance.now() });
    else others.delete(data.id);
    if (data.isNew && isTaken) say();
    onChange();
  };
  setInterval(sweep, SAY_MS);
}

function sweep() {
  if (isTaken) say();
  const before = others.size;
  others.forEach(({ saidMs }, other) => performance.now() - saidMs > SILENT_MS && others.delete(other));
  if (others.size < before) onChange();
}
