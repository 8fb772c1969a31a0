// Values over time from the hub's history, as the chart takes them.
import { urlOf } from "../live/paths.js";

// Neighbours may be that much further apart than expected without a gap between them.
const SLACK = 1.6;

let asked = new AbortController();

// Returns the answers for each sensor, null for one that was superseded. Throws Error with the hub's reason.
// `more` are further parameters of the request.
export async function fetchHistory(sensors, from, to, width, more = {}) {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  try {
    return await Promise.all(sensors.map((sensor) => fetchOne(historyPath(sensor, from, to, width, more), signal)));
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

export function historyPath(sensor, from, to, width, more = {}) {
  const times = { from: Math.max(0, Math.floor(from)), to: Math.max(1, Math.ceil(to)) };
  return urlOf(`/api/history?${new URLSearchParams({ sensor, ...times, width, ...more })}`);
}

async function fetchOne(path, signal) {
  const answer = await fetch(path, { signal });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error), { status: answer.status });
  return body;
}

// Returns one field of an answer, with the words that the chart writes beside it.
export function seriesOf({ series, to_ms: untilMs, bucket_ms: bucketMs, interval_ms: intervalMs, gaps }, field, words) {
  const points = series.find((each) => each.field === field)?.points ?? [];
  return { ...words, points, bucketMs, untilMs, gaps, joinMs: bucketMs + SLACK * intervalMs };
}

// Returns in words why sensors could not be fetched.
export function faultOf({ status, message }, sensors) {
  if (status === undefined) return "The hub does not answer.";
  return status === 404 ? `Nothing is stored of ${sensors.join(" or ")} yet.` : message;
}
