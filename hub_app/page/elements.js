// Finding elements and setting their text.

export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

// Compares in script: what comes from the bus is never part of a selector.
export function elementsOf(key, selector, value) {
  return [...document.querySelectorAll(selector)].filter((element) => element.dataset[key] === value);
}
