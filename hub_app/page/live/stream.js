// Event stream of the hub (SSE): a snapshot, then every change. It reconnects, and pauses on a hidden page.
import { followAttention, keepAttention } from "../frame/attention.js";
import { setText } from "./elements.js";
import { urlOf } from "./paths.js";

const RETRY_MS = 2000;
// The hub sends a `time` event every 10 s. After twice that without an event, the link is dead.
const SILENT_MS = 25000;
const CHECK_MS = 1000;

let hubOffsetMs = Date.now() - performance.now(); // the hub's clock minus this page's monotonic clock
let lastEventMs = 0;
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
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => event.persisted && followVisibility());
  setInterval(() => source && performance.now() - lastEventMs > SILENT_MS && connect(), CHECK_MS);
  followVisibility();
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

function connect() {
  disconnect();
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
    disconnect();
    showConnection("connecting", "paused");
  } else if (!source) connect();
}

function showConnection(state, text) {
  const connection = document.getElementById("connection");
  connection.dataset.state = state;
  setText(connection.querySelector(".text"), text);
}
