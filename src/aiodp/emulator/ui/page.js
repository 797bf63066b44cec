// Which view is open, by the page's address, and the fetching of what it shows each second.

const FETCH_INTERVAL = 1000; // milliseconds between two fetches
const TICK_INTERVAL = 250; // milliseconds between two steps of what counts down
const VIEWS = {
  "/": ["overview", overview],
  "/pipeline": ["pipeline-view", pipelineView],
  "/attempt": ["attempt-view", attemptView],
};

const places = new Map(); // where the reader was in each view: [scrolled, focused]
let route = null; // the open view
let loaded = false; // whether it shows anything
let updating = false;
let wake = () => {};
let fetching = new AbortController();

// An address which names no view is that of a section of the first one.
function readAddress() {
  const [, path, query] = /^#(\/\w*)\??(.*)$/s.exec(location.hash) ?? [null, "/", ""];
  const [id, view] = VIEWS[path] ?? VIEWS["/"];
  const given = new URLSearchParams(query);
  return { id, view, path, given, key: `${id} ${JSON.stringify(view.parameters(given))}` };
}

function keepInAddress(parameters) {
  const kept = new URLSearchParams(Object.entries({
    ...Object.fromEntries(["pipeline", "attempt"].map((name) => [name, route.given.get(name)])),
    ...parameters,
  }).filter(([, value]) => value));
  const query = kept.size > 0 ? `?${kept}` : "";
  history.replaceState(null, "", `${location.pathname}${location.search}#${route.path}${query}`);
  route.given = kept;
}

function openView() {
  const next = readAddress();
  const same = route?.key === next.key;
  if (same && !location.hash.startsWith("#/") && location.hash) { // a section of this view
    if (route.given.size > 0) keepInAddress(Object.fromEntries(route.given));
    return;
  }
  const first = route === null;
  if (!first && !same) places.set(route.key, [left.scrolled, left.focused]);
  route = next;
  fillFilter(route.given);
  if (!same) {
    loaded = route.view === overview && shown !== null;
    for (const [id] of Object.values(VIEWS)) hide(byId(id), id !== route.id || !loaded);
    hide(byId("loading"), loaded);
    hide(byId("way-out"), route.view === overview);
    say("");
    returnTo(places.get(route.key), first);
  }
  if (!first) look();
}

function returnTo(place, first) {
  document.querySelector(`#${route.id} .filter-place`)?.append(filter);
  hide(filter.elements.order.parentElement, route.view !== overview);
  const [scrolled, focused] = place ?? [0, null];
  if (!first && loaded) {
    (focused?.isConnected ? focused : route.view.heading()).focus({ preventScroll: true });
    scrollTo(0, scrolled);
  }
  route.opened = !first && !loaded;
}

// Where the reader is; a browser scrolls before it says that the address has changed.
const left = { scrolled: 0, focused: null };
function remember() {
  left.scrolled = scrollY;
  left.focused = document.activeElement;
}

function showHead() {
  setText(byId("date"), clock.stamp().replace("T", " "));
  const minute = Number((60 / clock.scale).toPrecision(3));
  setText(byId("scale"), clock.scale > 0 ? `a minute lasts ${minute} s` : "moved by hand");
}

function tick() {
  if (!loaded || document.body.classList.contains("stale")) return;
  showHead();
  route.view.refresh();
}

function showFailure(reason, missing) {
  const banner = byId("banner");
  if (!missing) clock.stop();
  document.body.classList.toggle("stale", !missing);
  if (missing && loaded) {
    loaded = false;
    keepFocus(() => hide(byId(route.id), true));
  }
  hide(byId("loading"), true);
  hide(banner, false);
  const nothing = `There is nothing to show${missing ? "" : " yet"}`;
  const state = loaded ? "What you see is as it was last" : nothing;
  setText(banner, `${reason} ${state}; trying again each second.`);
}

// Whoever was at something that has gone goes on from the heading of its section, or above it.
function goOnFrom(section) {
  [section?.querySelector("h2"), route.view.heading(), byId("heading")]
    .find((heading) => heading?.checkVisibility()).focus({ preventScroll: true });
}

function keepFocus(change) {
  const focused = document.activeElement;
  const section = focused.closest("section");
  change();
  if (focused === document.body || (focused.isConnected && focused.checkVisibility())) return;
  goOnFrom(section);
}

function showAnswer(found) {
  document.body.classList.remove("stale");
  hide(byId("banner"), true);
  hide(byId("loading"), true);
  clock.set(found);
  keepFocus(() => route.view.show(found));
  loaded = true;
  hide(byId(route.id), false);
  document.title = `${route.view.title()} · aiodp`;
  if (route.view.matches) sayWhatMatches(route.view.matches());
  tick();
  if (route.opened) {
    route.opened = false;
    route.view.heading().focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function addressOfView() {
  const { view, given } = route;
  const filtered = view === attemptView ? {} : selected();
  return addressOf(view.path, { ...view.parameters(given), ...filtered });
}

async function update() {
  const address = addressOfView();
  const { signal } = fetching = new AbortController();
  const { found, reason, missing } = await ask(address, { signal });
  if (signal.aborted || address !== addressOfView()) return false; // the reader went elsewhere
  if (found) showAnswer(found);
  else showFailure(reason, missing);
  return true;
}

// Fetch now what the open view shows.
function look() {
  fetching.abort();
  wake();
}

async function watch() {
  if (updating) return;
  updating = true;
  while (!document.hidden) {
    const done = await update()
      .catch((error) => { showFailure(`This page cannot show the state: ${error}.`); return true; });
    if (done) await pause();
  }
  updating = false;
}

function pause() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, FETCH_INTERVAL);
    wake = () => { clearTimeout(timer); resolve(); };
  });
}

const region = new URLSearchParams(location.search).get("region");
byId("place").textContent = region ? `${location.host}, ${region}` : location.host;
byId("jump").onclick = askToJump;
byId("add-fault").onclick = () => askForFault();
document.addEventListener("visibilitychange", watch);
document.addEventListener("focusin", remember);
document.addEventListener("click", remember, true);
addEventListener("scroll", remember, { passive: true });
addEventListener("hashchange", openView);
setInterval(() => { if (!document.hidden) tick(); }, TICK_INTERVAL);
openView();
watch();
