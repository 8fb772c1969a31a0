// Areas of many nodes: folded ones with a summary, a filter for their nodes and sensors, and their worst state.
import { attentionItems } from "../frame/attention.js";
import { setText } from "../live/elements.js";

const FOLDED = "harvester.folded";
const UNFOLDED = "harvester.unfolded";
const PAUSE_MS = 100;
// A phone shows more nodes than these folded, until somebody unfolds their area.
const MOST_OPEN_NODES = 12;
const SEVERITIES = ["info", "warning", "critical"];

const box = document.getElementById("filter");
const foldAll = document.getElementById("fold-all");
const phone = matchMedia("(max-width: 40rem)");
let timer = 0;

// A browser may refuse to remember anything.
function readNames(key) {
  try {
    return new Set(JSON.parse(localStorage.getItem(key) ?? "[]"));
  } catch {
    return new Set();
  }
}

// What somebody has folded or unfolded.
const folded = readNames(FOLDED);
const unfolded = readNames(UNFOLDED);

function remember(area, isOpen) {
  (isOpen ? folded : unfolded).delete(area);
  (isOpen ? unfolded : folded).add(area);
  try {
    localStorage.setItem(FOLDED, JSON.stringify([...folded]));
    localStorage.setItem(UNFOLDED, JSON.stringify([...unfolded]));
  } catch {
    // It is forgotten with the page.
  }
}

const areasOf = () => [...document.querySelectorAll(".area-fold")];
const wordsOf = (element) => (element?.textContent ?? "").toLowerCase();

function filterGroup(group, areaWords, wanted) {
  const words = `${areaWords} ${group.dataset.group} ${wordsOf(group.querySelector("header"))}`.toLowerCase();
  const tiles = [...group.querySelectorAll(".reading")];
  const isWhole = wanted.every((word) => words.includes(word));
  tiles.forEach((tile) => {
    const own = `${words} ${wordsOf(tile.querySelector("h4"))} ${tile.querySelector("a").id.toLowerCase()}`;
    tile.hidden = !isWhole && !wanted.every((word) => own.includes(word));
  });
  group.hidden = !isWhole && !tiles.some((tile) => !tile.hidden);
}

function isOpenAtFirst(area, isMany) {
  return unfolded.has(area) || (!folded.has(area) && !(phone.matches && isMany));
}

// Shows what has every word of the filter, in the name of its area, node or sensor.
export function filter() {
  const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const areas = areasOf();
  const isMany = document.querySelectorAll(".group").length > MOST_OPEN_NODES;
  areas.forEach((area) => {
    const groups = [...area.querySelectorAll(".group")];
    groups.forEach((group) => filterGroup(group, wordsOf(area.querySelector("h2")), wanted));
    area.hidden = !groups.some((group) => !group.hidden);
    area.open = wanted.length > 0 || isOpenAtFirst(area.dataset.area, isMany);
  });
  const nothing = document.getElementById("nothing-found");
  if (nothing) nothing.hidden = areas.some((area) => !area.hidden);
  showFoldAll();
}

function showFoldAll() {
  setText(foldAll, areasOf().some(({ open }) => open) ? "Fold all" : "Unfold all");
}

// Folds and filters the areas of a page that is new.
export function findAreas() {
  box.hidden = !document.querySelector(".area-fold");
  foldAll.hidden = box.hidden;
  if (!box.hidden) filter();
  showRanges();
}

// Shows in each area how much of it needs attention, in the colour of the worst.
export function showWorst() {
  const tiles = new Map([...document.querySelectorAll(".group [data-spark-of]")].map((spark) => [spark.dataset.sparkOf, spark.closest(".area-fold")]));
  const items = attentionItems().filter(({ acknowledged }) => !acknowledged);
  areasOf().forEach((area) => {
    const nodes = new Set([...area.querySelectorAll(".group")].map(({ dataset }) => dataset.group));
    const own = items.filter(({ node, name }) => {
      const place = tiles.get(`${node}:${name}`);
      return place ? place === area : nodes.has(node);
    });
    const worst = area.querySelector(".area-worst");
    worst.hidden = !own.length;
    setText(worst, `${own.length} ${own.length === 1 ? "needs" : "need"} attention`);
    worst.dataset.worst = SEVERITIES[Math.max(0, ...own.map(({ severity }) => SEVERITIES.indexOf(severity)))];
  });
}

// Returns the range of the main value that most sensors of an area have, as text.
function rangeOf(area) {
  const ranges = new Map(); // label and unit -> texts of the values
  area.querySelectorAll(".reading:not([data-stale]) > dl > .field:first-child").forEach((field) => {
    const text = field.querySelector(".value").textContent;
    if (!text || Number.isNaN(Number(text))) return;
    const key = `${field.querySelector("dt").textContent} | ${field.querySelector(".unit")?.textContent ?? ""}`;
    ranges.set(key, [...(ranges.get(key) ?? []), text]);
  });
  const [most] = [...ranges].sort(([, a], [, b]) => b.length - a.length);
  if (!most) return "";
  const [label, unit] = most[0].split(" | ");
  const texts = most[1].sort((a, b) => a - b);
  const ends = [...new Set([texts[0], texts[texts.length - 1]])];
  return `${label} ${ends.join("\u2013")} ${unit}`;
}

export function showRanges() {
  areasOf().filter(({ open }) => !open).forEach((area) => setText(area.querySelector(".area-range"), rangeOf(area)));
}

document.addEventListener("click", ({ target }) => {
  const area = target.closest("summary")?.parentElement;
  // While there is a filter, every area with a match is open.
  if (area?.dataset.area !== undefined && !box.value) remember(area.dataset.area, !area.open);
});
// The event does not bubble.
document.addEventListener("toggle", ({ target }) => {
  if (target.dataset?.area === undefined) return;
  showFoldAll();
  showRanges();
}, true);
foldAll.addEventListener("click", () => {
  const isOpen = areasOf().every(({ open }) => !open);
  areasOf().forEach((area) => {
    area.open = isOpen;
    remember(area.dataset.area, isOpen);
  });
});
box.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(filter, PAUSE_MS);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || box.hidden || event.target.closest("input, select, textarea, dialog")) return;
  event.preventDefault();
  box.focus();
});
