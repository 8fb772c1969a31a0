// URL paths below the prefix that a reverse proxy may have for the page.

// This file is in static/live/ below the prefix.
const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

export const urlOf = (path) => ROOT + path;
