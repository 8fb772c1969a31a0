// Copy of an element's text to the clipboard; over plain HTTP by the selection, as browsers have no clipboard there.

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

// Returns whether the text was copied. It is selected in any case.
export async function copyText(element) {
  select(element);
  try {
    if (!navigator.clipboard) return document.execCommand("copy");
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    return false;
  }
}
