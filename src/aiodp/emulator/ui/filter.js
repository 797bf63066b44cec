// Which rows the lists show. It is a part of the page's address, so that a reload keeps it.

const TYPING = 250; // milliseconds after the last letter
const MOST_GROUPS = 300;
const filter = byId("filter");
const groups = new Set();
let limit = MAX_ROWS;
let typing = 0; // the timer
let changed = false; // by the reader, who has not been told what matches

filter.elements.status.append(...STATUSES.map((one) => element("option", {}, one)));

function selected() {
  return {
    ...Object.fromEntries(new FormData(filter)), limit: limit === MAX_ROWS ? "" : String(limit),
  };
}

function fillFilter(given) {
  clearTimeout(typing);
  for (const name of ["text", "status", "workerGroup", "order"]) {
    const value = given.get(name) ?? "";
    if (name === "workerGroup" && value) rememberGroups([value]);
    filter.elements[name].value = value;
    if (filter.elements[name].value !== value) filter.elements[name].value = "";
  }
  const rows = Number(given.get("limit"));
  limit = Number.isInteger(rows) && rows > 0 ? Math.min(rows, MOST_ROWS) : MAX_ROWS;
}

// Offer groups to choose from: all which were ever seen here, as long as that is not too many.
function rememberGroups(names) {
  const fresh = names.filter((name) => name && !name.endsWith("…") && !groups.has(name));
  for (const name of new Set(fresh)) {
    if (groups.size >= MOST_GROUPS) return;
    groups.add(name);
    filter.elements.workerGroup.append(element("option", { value: name }, name));
  }
}

function applyFilter() {
  clearTimeout(typing);
  changed = true;
  keepInAddress(selected());
  look();
}

function filtersBy(names) {
  return names.some((name) => filter.elements[name].value);
}

function mayShowMore() {
  return limit < MOST_ROWS;
}

function showMore() {
  limit = Math.min(limit + MAX_ROWS, MOST_ROWS);
  applyFilter();
}

function sayWhatMatches(text) {
  if (changed) say(text);
  changed = false;
}

filter.elements.text.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(applyFilter, TYPING);
});
filter.addEventListener("change", applyFilter);
filter.addEventListener("submit", (event) => {
  event.preventDefault();
  applyFilter();
});
filter.addEventListener("reset", () => setTimeout(() => {
  limit = MAX_ROWS;
  applyFilter();
}));
