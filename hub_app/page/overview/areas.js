// Areas of many nodes: which are folded, and a filter for their nodes and sensors.
const FOLDED = "harvester.folded";
const PAUSE_MS = 100;

const box = document.getElementById("filter");
let timer = 0;

// A browser may refuse to remember anything.
function readFolded() {
  try {
    return new Set(JSON.parse(localStorage.getItem(FOLDED) ?? "[]"));
  } catch {
    return new Set();
  }
}

let folded = readFolded();

function remember({ target }) {
  const { area } = target.dataset ?? {};
  // While there is a filter, every area with a match is open.
  if (area === undefined || box.value) return;
  if (target.open) folded.delete(area);
  else folded.add(area);
  try {
    localStorage.setItem(FOLDED, JSON.stringify([...folded]));
  } catch {
    // It is forgotten with the page.
  }
}

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

// Shows what has every word of the filter, in the name of its area, node or sensor.
export function filter() {
  const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const areas = [...document.querySelectorAll("[data-area].area-fold")];
  areas.forEach((area) => {
    const groups = [...area.querySelectorAll(".group")];
    groups.forEach((group) => filterGroup(group, wordsOf(area.querySelector("h2")), wanted));
    area.hidden = !groups.some((group) => !group.hidden);
    area.open = wanted.length > 0 || !folded.has(area.dataset.area);
  });
  const nothing = document.getElementById("nothing-found");
  if (nothing) nothing.hidden = areas.some((area) => !area.hidden);
}

// Folds and filters the areas of a page that is new.
export function findAreas() {
  box.hidden = !document.querySelector(".area-fold");
  if (!box.hidden) filter();
}

// The event does not bubble.
document.addEventListener("toggle", remember, true);
box.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(filter, PAUSE_MS);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || box.hidden || event.target.closest("input, select, textarea, dialog")) return;
  event.preventDefault();
  box.focus();
});
