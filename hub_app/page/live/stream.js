// Event stream of the hub (SSE): a snapshot, then every change. It reconnects, and pauses on a hidden page.
import { followAttention, keepAttention } from "../frame/attention.js";
import { setText } from "./elements.js";
import { urlOf } from "./paths.js";
import { hasTurn, leaveTurn, takeTurn, useTurn, watchTurns } from "./turns.js";

const RETRY_MS = 2000;
// The hub sends a `time` event every 10 s. After twice that without an event, the link is dead.
const SILENT_MS = 25000;
const CHECK_MS = 1000;
const PAUSED = "paused: click to go on";

let hubOffsetMs = Date.now() - performance.now(); // the hub's clock minus this page's monotonic clock
let lastEventMs = 0;
let checkedMs = performance.now();
let skewMs = Date.now() - performance.now();
let source = null;
let retryTimer = 0;
let path = "/events";
let listeners = {};

// Milliseconds since the epoch, by the hub's clock.
export const hubNow = () => performance.now() + hubOffsetMs;
export const isOpen = () => source !== null;

// Opens the stream at a path of the hub; the listeners `onSnapshot` and `onUpdate` get decoded events.
export function follow(streamPath, { onSnapshot, onUpdate }) {
  path = streamPath;
  listeners = { onSnapshot, onUpdate };
  document.addEventListener("visibilitychange", followVisibility);
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => event.persisted && followVisibility());
  ["focus", "pointerdown", "keydown"].forEach((name) => addEventListener(name, resume));
  watchTurns(followTurn);
  setInterval(check, CHECK_MS);
  followVisibility();
}

// Connects again where no event has come for long, or the page did not run: what it has is old.
function check() {
  const now = performance.now();
  // While a machine sleeps, some browsers stop this clock.
  const sleptMs = Date.now() - now - skewMs;
  const isAwake = Math.max(sleptMs, now - checkedMs) < SILENT_MS;
  if (!isAwake) hubOffsetMs += Math.max(0, sleptMs);
  noteAwake();
  if (source && (!isAwake || now - lastEventMs > SILENT_MS)) connect();
}

// Continues with the stream at another path.
export function change(streamPath) {
  path = streamPath;
  if (source) connect();
}

function decode(event) {
  lastEventMs = performance.now();
  const data = JSON.parse(event.data);
  hubOffsetMs = data.now_ms - lastEventMs;
  return data;
}

function noteAwake() {
  checkedMs = performance.now();
  skewMs = Date.now() - checkedMs;
}

function connect() {
  disconnect();
  noteAwake();
  lastEventMs = performance.now();
  source = new EventSource(urlOf(path));
  source.addEventListener("snapshot", (event) => {
    const data = decode(event);
    showConnection("live", "live");
    keepAttention(data.entries);
    listeners.onSnapshot(data);
  });
  source.addEventListener("update", (event) => {
    const data = decode(event);
    followAttention(data);
    listeners.onUpdate(data);
  });
  source.addEventListener("time", decode);
  source.onerror = () => {
    showConnection("lost", "reconnecting");
    disconnect();
    retryTimer = setTimeout(connect, RETRY_MS);
    leaveIfLoggedOut();
  };
}

function disconnect() {
  clearTimeout(retryTimer);
  retryTimer = 0;
  source?.close();
  source = null;
}

// EventSource does not report the HTTP status, so an expired session is looked up.
async function leaveIfLoggedOut() {
  try {
    const answer = await fetch(urlOf("/api/session"));
    // The hub leads to the log-in, and from there back to this view.
    if (answer.status === 401) location.reload();
  } catch {
    // The hub does not answer; the stream is retried anyway.
  }
}

// A hidden page closes its stream. When it is visible again, a snapshot brings it up to date.
function followVisibility() {
  if (document.hidden) {
    leave();
    showConnection("connecting", "paused");
  } else resume();
}

function leave() {
  disconnect();
  leaveTurn();
}

// Goes on because somebody looks at this page or uses it.
function resume() {
  if (document.hidden) return;
  useTurn();
  if (!source && !retryTimer) connect();
}

function followTurn() {
  if (document.hidden) return;
  if (!hasTurn()) {
    leave();
    showConnection("connecting", PAUSED);
  } else if (!source && !retryTimer) {
    takeTurn();
    connect();
  }
}

function showConnection(state, text) {
  const connection = document.getElementById("connection");
  connection.dataset.state = state;
  setText(connection.querySelector(".text"), text);
}
