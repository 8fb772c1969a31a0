// Elements of the page by what they show, so that an event finds its own without a search.
let byKey = new Map();

// Key of an element's attribute, for example keyOf("topic", "harvester/pi4/fan").
const keyOf = (name, value) => `${name} ${value}`;
const NAMES = ["topic", "presenceOf", "refusedOf", "answersOf", "digestOf", "log", "coverageOf", "sparkOf"];
const SELECTOR = NAMES.map((name) => `[data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}]`).join();

export function findPlaces() {
  byKey = new Map();
  document.querySelectorAll(SELECTOR).forEach((element) => {
    NAMES.filter((name) => element.dataset[name] !== undefined).forEach((name) => {
      const key = keyOf(name, element.dataset[name]);
      if (byKey.has(key)) byKey.get(key).push(element);
      else byKey.set(key, [element]);
    });
  });
}

export const placesOf = (name, value) => byKey.get(keyOf(name, value)) ?? [];
