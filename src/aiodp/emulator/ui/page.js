// What the page shows, and the fetching of the service's state each second.

const FETCH_INTERVAL = 1000; // milliseconds between two fetches
const TICK_INTERVAL = 250; // milliseconds between two steps of what counts down
const FETCH_TIMEOUT = 5000; // milliseconds for one fetch

// The service's time, carried on between two fetches; it stands still while the service is gone.
const clock = {
  at: 0, scale: 0, got: 0, date: 0,
  set(state) {
    Object.assign(this, { at: state.now, scale: state.scale, got: performance.now() });
    this.date = Date.parse(`${state.date}Z`);
  },
  stop() {
    const passed = this.elapsed();
    Object.assign(this, { at: this.at + passed, date: this.date + 1000 * passed, scale: 0 });
  },
  elapsed() { return ((performance.now() - this.got) / 1000) * this.scale; },
  now() { return this.at + this.elapsed(); },
  stamp() { return new Date(this.date + 1000 * this.elapsed()).toISOString().slice(0, 19); },
};

const attempt = lines("Attempt", (row) => [
  [row.attempt, "id"], [row.pipelineName, ""], [row.pipeline, "id quiet"],
], "wide");
const owner = lines("Owner", (row) => [
  [row.hostname || "(no hostname)", ""], [row.workerGroup, "quiet"],
]);
const group = lines("Worker group", (row) => [[row.workerGroup || "(none: nobody gets it)"]]);

const SECTIONS = [
  {
    id: "tasks", title: "In progress", empty: "Nobody holds a task.",
    key: (row) => row.task,
    columns: [
      attempt, pills("Status", (row) => [[row.status, row.status]]), owner, lease("Lease left"),
      lines("Last report", (row) => [
        [ago(row.reported), "nowrap"], [`${count(row.reports)} in all`, "quiet nowrap"],
      ]),
      lines("Reported", (row) => fieldLines(row.fields), "free"),
    ],
  },
  {
    id: "pipelines", title: "Pipelines", empty: "There is no pipeline.",
    key: (row) => row.id,
    columns: [
      lines("Pipeline", (row) => [[row.name, ""], [row.id, "id quiet"]], "wide"),
      pills("State", (row) => [[row.state, row.state]]),
      pills("Health", (row) => (row.health ? [[row.health, row.health]] : [])),
      lines("Next run", (row) => [
        [row.nextRun === null ? "" : `in ${duration(row.nextRun - clock.now())}`, "nowrap"],
      ]),
      pills("Instances", (row) =>
        Object.entries(row.counts).map(([status, n]) => [`${count(n)} ${status}`, status])),
    ],
  },
  {
    id: "queues", title: "Worker groups", empty: "No worker group has work.", half: true,
    key: (row) => row.key,
    columns: [
      group,
      lines("Waiting", (row) => [[count(row.offered)]], "number"),
      lines("Held", (row) => [[count(row.held)]], "number"),
      lines("Not offered yet", (row) => [[count(row.later)]], "number"),
    ],
  },
  {
    id: "runners", title: "Task runners", empty: "None has sent a heartbeat.", half: true,
    key: (row) => row.key,
    columns: [
      lines("Task runner", (row) => [[row.id, "id"], [row.hostname, "quiet"]]), group,
      lines("Heartbeat", (row) => [
        [ago(row.heartbeat), "nowrap"], [row.terminating ? "told to terminate" : "", "bad"],
      ]),
    ],
  },
  {
    id: "calls", title: "Calls", empty: "Nobody has called.", half: true,
    key: (row) => row.key,
    columns: [
      lines("Operation", (row) => [[row.operation]]),
      lines("Answered", (row) => [[count(row.ok)]], "number"),
      lines("Refused or failed", (row) =>
        Object.entries(row.others).map(([name, n]) => [`${count(n)} ${name}`, "bad"]), "free"),
    ],
  },
  {
    id: "faults", title: "Faults", empty: "Nothing goes wrong on purpose.", half: true,
    key: (_, n) => n,
    columns: [
      lines("Fault", (row) => [[row.kind, "bad"]]),
      lines("Applies to", (row) => [[appliesTo(row)]]),
      lines("So far", (row) => [[counted(row.befallen, "call"), "nowrap"]]),
      lines("Still", (row) => [[lasts(row), ""]]),
    ],
  },
  {
    id: "ended", title: "Ended lately", empty: "No attempt has ended.",
    key: (row) => `${row.pipeline} ${row.attempt}`,
    columns: [
      attempt, pills("Status", (row) => [[row.status, row.status]]), owner,
      lines("Ended", (row) => [[ago(row.ended), "nowrap"]]),
      lines("Outcome", (row) => fieldLines({ ...row.fields, ...row.outcome }), "free"),
    ],
  },
];

function appliesTo(row) {
  const calls = row.actions === null ? "every operation" : row.actions.join(", ");
  const changed = row.every > 1 ? `one in ${row.every} calls of ${calls}` : calls;
  return row.tasks === null ? changed : `${changed}, of ${counted(row.tasks, "task")}`;
}

function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function lasts(row) {
  const left = row.left === null ? [] : [counted(row.left, "more call")];
  if (row.start > clock.now()) left.push(`from in ${duration(row.start - clock.now())}`);
  else if (row.end !== null) left.push(`${duration(row.end - clock.now())} more`);
  return left.join(", ") || "until it is cleared";
}

function makeSection({ id, title, empty, half, key, columns }) {
  const heading = element("h2", { id: `${id}-title` }, title);
  const more = element("span", { class: "more" });
  const { table, update, refresh } = makeTable(`${id}-title`, columns, key);
  const scroll = element("div",
    { class: "scroll", role: "region", tabindex: "0", "aria-labelledby": `${id}-title` }, table);
  const nothing = element("p", { class: "empty" }, empty);
  const section = element("section", { id, class: half ? "half" : "" },
    element("div", { class: "title" }, heading, more), scroll, nothing);
  function show({ rows, total }) {
    scroll.hidden = rows.length === 0;
    nothing.hidden = rows.length > 0;
    const hidden = total - rows.length;
    setText(more, hidden > 0 ? `${count(rows.length)} shown, and ${count(hidden)} more` : "");
    update(rows);
  }
  return { id, section, show, refresh };
}

const sections = SECTIONS.map(makeSection);
const byId = (id) => document.getElementById(id);
let shown = null; // the newest state

function tiles(state) {
  const least = state.nextDeadline;
  return [
    ["tasks", count(state.tasks.total), "in progress"],
    ["tasks", least === null ? "–" : duration(least - clock.now()), "shortest lease left"],
    ["queues", count(state.queues.offered), "waiting for a poll"],
    ["pipelines", count(state.pipelines.total), "pipelines"],
    ["calls", count(state.calls.answered), "calls answered"],
    ["calls", count(state.calls.others), "refused or failed", state.calls.others > 0],
    ["faults", count(state.faults.total), "faults active", state.faults.total > 0],
  ];
}

function showTiles() {
  fillList(byId("tiles"), tiles(shown),
    () => element("li", {}, element("a", {}, element("strong"), element("span"))),
    (item, [target, number, label, alarming]) => {
      const [value, name] = item.firstElementChild.children;
      setAttribute(item.firstElementChild, "href", `#${target}`);
      setAttribute(item, "class", alarming ? "alarming" : "");
      setText(value, number);
      setText(name, label);
    });
}

function showHead() {
  setText(byId("date"), clock.stamp().replace("T", " "));
  const minute = (60 / shown.scale).toPrecision(3).replace(/\.?0+$/, "");
  setText(byId("scale"), shown.scale > 0 ? `a minute lasts ${minute} s` : "moved by hand");
}

function show(state) {
  shown = state;
  clock.set(state);
  sections.forEach(({ id, show: showSection }) => showSection(state[id]));
  document.title = `${count(state.tasks.total)} in progress · aiodp`;
  tick();
}

function tick() {
  if (!shown) return;
  showHead();
  showTiles();
  sections.forEach(({ refresh }) => refresh());
}

function showFailure(reason) {
  clock.stop();
  document.body.classList.add("stale");
  const banner = byId("banner");
  if (banner.hidden) banner.hidden = false;
  setText(banner, `${reason} What you see is as it was last; trying again each second.`);
}

function showState(state) {
  document.body.classList.remove("stale");
  byId("banner").hidden = true;
  show(state);
}

// Return the state, or the reason why there is none.
async function fetchState() {
  try {
    const answer = await fetch(`/aiodp-api/state${location.search}`,
      { cache: "no-store", signal: AbortSignal.timeout(FETCH_TIMEOUT) });
    if (answer.ok) return { state: await answer.json() };
    const { error } = await answer.json().catch(() => ({}));
    return { reason: `The service answers with HTTP status ${answer.status}: ${error ?? "?"}.` };
  } catch {
    return { reason: "The service does not answer." };
  }
}

async function update() {
  const { state, reason } = await fetchState();
  if (state) showState(state);
  else showFailure(reason);
}

let updating = false;

async function watch() {
  if (updating) return;
  updating = true;
  while (!document.hidden) {
    await update().catch((error) => showFailure(`This page cannot show the state: ${error}.`));
    await new Promise((resolve) => { setTimeout(resolve, FETCH_INTERVAL); });
  }
  updating = false;
}

const region = new URLSearchParams(location.search).get("region");
byId("place").textContent = region ? `${location.host}, ${region}` : location.host;
byId("main").append(...sections.map(({ section }) => section));
document.addEventListener("visibilitychange", watch);
setInterval(() => { if (!document.hidden) tick(); }, TICK_INTERVAL);
watch();
