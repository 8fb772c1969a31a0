// Look-up of elements by data attribute, and setting of their text and content.

export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

// Compares in script, because text from the bus must not become part of a selector.
export function elementsOf(key, selector, value) {
  return [...document.querySelectorAll(selector)].filter((element) => element.dataset[key] === value);
}

export function replaceContent(element, children) {
  while (element.firstChild) element.firstChild.remove();
  element.append(...children);
}
