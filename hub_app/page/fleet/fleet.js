// Refreshes the lists of the fleet's views: they have no event stream.
const INTERVAL_MS = 5000;

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const lists = document.querySelectorAll("[data-live]");
    fresh.querySelectorAll("[data-live]").forEach((list, i) => {
      if (lists[i].innerHTML !== list.innerHTML && !lists[i].contains(document.activeElement)) lists[i].replaceWith(list);
    });
  } catch {
    // The next round tries again.
  }
}

setInterval(refresh, INTERVAL_MS);
