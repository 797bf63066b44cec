// The first view: everything that the service has, and who holds what.

const OF_ATTEMPTS = ["text", "status", "workerGroup"];
const SECTIONS = [
  {
    id: "tasks", title: "In progress", empty: "Nobody holds a task.", filters: OF_ATTEMPTS,
    key: (row) => row.task,
    columns: [
      attempt, statusPill, owner, leaseLeft, lastReport,
      lines("Reported", (row) => fieldLines(row.fields), "free"),
      buttons("Actions", buttonsOfTask),
    ],
  },
  {
    id: "pipelines", title: "Pipelines", empty: "There is no pipeline.", filters: ["text"],
    key: (row) => row.id,
    columns: pipelineColumns,
  },
  {
    id: "queues", title: "Worker groups", empty: "No worker group has work.", half: true,
    key: (row) => row.key,
    columns: [
      group,
      lines("Waiting", (row) => [[count(row.offered)]], "number"),
      lines("Held", (row) => [[count(row.held)]], "number"),
      lines("Not offered yet", (row) => [[count(row.later)]], "number"),
      lines("Polled", (row) => [
        [ago(row.polled), "nowrap"],
        [row.unpolled ? "no worker polls this group" : "", "bad alarm"],
      ]),
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
      buttons("Actions", (row) =>
        (row.terminating ? [] : [["Terminate", row.id, () => askToTerminate(row)]])),
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
    id: "ended", title: "Ended lately", empty: "No attempt has ended.", filters: OF_ATTEMPTS,
    key: (row) => `${row.pipeline} ${row.attempt}`,
    columns: [
      attempt, statusPill, owner,
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

const sections = SECTIONS.map(makeSection);
let shown = null; // the newest state

function tiles(state) {
  const least = state.nextDeadline;
  const { unpolled } = state.queues;
  return [
    ["tasks", count(state.taskCount), "in progress"],
    ["tasks", least === null ? "–" : duration(least - clock.now()), "shortest lease left"],
    ["queues", count(state.queues.offered),
      unpolled > 0 ? `waiting; ${counted(unpolled, "group")} unpolled` : "waiting for a poll",
      unpolled > 0],
    ["pipelines", count(state.pipelineCount), "pipelines"],
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

const endFaults = makeButton();
setText(endFaults, "End all faults…");
endFaults.onclick = askToEndFaults;

const overview = {
  path: "state",
  parameters: () => ({}),
  heading: () => byId("heading"),
  show(state) {
    shown = state;
    sections.forEach(({ id, show }) => show(state[id]));
    hide(endFaults, state.faults.total === 0);
    rememberGroups(state.queues.rows.map((row) => row.key));
    rememberGroups([...state.tasks.rows, ...state.ended.rows].map((row) => row.workerGroup));
  },
  refresh() {
    showTiles();
    sections.forEach(({ refresh }) => refresh());
  },
  title: () => `${count(shown.taskCount)} in progress`,
  matches: () => `${counted(shown.tasks.total, "task")} in progress and `
    + `${counted(shown.ended.total, "ended attempt")} match.`,
};

byId("sections").append(...sections.map(({ section }) => section));
byId("faults").querySelector(".title").append(endFaults);
