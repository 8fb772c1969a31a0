// Views of the fleet. They have no event stream, so their lists are polled.
import { swapParts } from "../live/swap.js";
import { showTimes } from "../log/lines.js";

const REFRESH_MS = 5000;

showTimes();
setInterval(() => document.hidden || swapParts(["sites", "alarms"]), REFRESH_MS);
