// The views of one pipeline and of one attempt.

const EVENTS = {
  offered: "offered to its worker group", assigned: "handed out", acknowledged: "first report",
  progress: "report", canceled: "canceled", canceled_told: "its worker was told so",
  reassigned: "not acknowledged, so taken back", lapsed: "its lease ran out",
  status: "its worker ended it", refused: "a call was refused", action: "an action was done",
};

function nameOf(attemptId) {
  return attemptId.slice(attemptId.lastIndexOf("=") + 1);
}

const attempts = lines("Attempts", (row) => row.attempts.map((id) =>
  [`attempt ${nameOf(id)}`, "nowrap", toAttempt(row.pipeline, id)]));

function keyAndValue(label) {
  return [
    lines(label, (row) => [[row[0], "id"]]), lines("Value", (row) => [[row[1], "text"]], "free"),
  ];
}

function listed(object) {
  const rows = Object.entries(object);
  return { rows, total: rows.length };
}

function makeDetails(id, path, { parameters, parts, rowsOf, subject, matches }) {
  const view = byId(id);
  const title = element("h2", { tabindex: "-1", class: "subject" });
  const made = parts.map(makeSection);
  view.append(title,
    ...(id === "pipeline-view" ? [element("div", { class: "filter-place" })] : []),
    element("div", { class: "grid" }, ...made.map(({ section }) => section)));
  let name = "";
  return {
    path, parameters, matches,
    heading: () => title,
    show(found) {
      name = subject(found);
      setText(title, name);
      const lists = rowsOf(found);
      made.forEach(({ id: part, show }) => show(lists[part]));
    },
    refresh: () => made.forEach(({ refresh }) => refresh()),
    title: () => name,
  };
}

let runsOf = null; // the newest answer about a pipeline

const pipelineView = makeDetails("pipeline-view", "state/pipeline", {
  parameters: (given) => ({ pipelineId: given.get("pipeline") }),
  subject: (found) => `Pipeline ${found.pipeline.name}`,
  matches: () => `${counted(runsOf.runs.total, "instance")} match.`,
  rowsOf(found) {
    runsOf = found;
    rememberGroups(found.runs.rows.map((row) => row.workerGroup));
    return {
      "pipeline-now": { rows: [found.pipeline], total: 1 },
      runs: {
        rows: found.runs.rows.map((row) => ({ ...row, pipeline: found.pipeline.id })),
        total: found.runs.total,
      },
    };
  },
  parts: [
    { id: "pipeline-now", title: "How it stands", empty: "", key: (row) => row.id,
      columns: pipelineColumns },
    {
      id: "runs", title: "Instances", empty: "It has none.", filters: OF_ATTEMPTS,
      key: (row) => row.instance,
      columns: [
        lines("Instance", (row) => [[row.instance, "id"]], "wide"), statusPill,
        attempts,
        lines("Owner", (row) => [[row.hostname, ""], [row.workerGroup, "quiet"]]),
        lines("Began", (row) => [[row.started === null ? "" : ago(row.started), "nowrap"]]),
        lines("Ended", (row) => [
          [row.ended === null ? "" : ago(row.ended), "nowrap"], [row.reason, "bad"],
        ], "free"),
        buttons("Actions", (row) => (row.over
          ? [["Run again", row.instance, () => askToRerun(row.pipeline, row.instance)]] : [])),
      ],
    },
  ],
});

function rowOfAttempt({ attempt: given, owners }) {
  const last = owners.rows[0];
  const unheld = {
    deadline: null, hostname: last?.hostname ?? "", reported: last?.reported ?? null,
    reports: last?.reports ?? 0,
  };
  return { ...unheld, ...given, ...given.held };
}

function buttonsOfAttempt(row) {
  const again = ["Run again", row.instance, () => askToRerun(row.pipeline, row.instance)];
  const fault = ["Add a fault", `for ${row.attempt}`, () => askForFault(row.task)];
  return [...(row.held ? [...buttonsOfTask(row), fault] : []), ...(row.over ? [again] : [])];
}

const attemptView = makeDetails("attempt-view", "state/attempt", {
  parameters: (given) => ({ pipelineId: given.get("pipeline"), attemptId: given.get("attempt") }),
  subject: (found) => `Attempt ${found.attempt.attempt}`,
  rowsOf: (found) => ({
    "attempt-now": { rows: [rowOfAttempt(found)], total: 1 },
    error: listed({
      ...found.attempt.error, ...(found.attempt.reason ? { reason: found.attempt.reason } : {}),
    }),
    owners: found.owners, fields: listed(found.fields), log: found.events,
  }),
  parts: [
    {
      id: "attempt-now", title: "How it stands", empty: "", key: (row) => row.attempt,
      columns: [
        attempt, statusPill, owner, leaseLeft, lastReport,
        attempts,
        pills("Instance", (row) => [[row.instanceStatus, row.instanceStatus]]),
        buttons("Actions", buttonsOfAttempt),
      ],
    },
    {
      id: "owners", title: "Who held it", empty: "Nobody has held it.", half: true,
      latest: true, key: (row) => row.task,
      columns: [
        lines("Owner", (row) => [[row.hostname || "(no hostname)"]]),
        lines("From", (row) => [[ago(row.start), "nowrap"]]),
        lines("For", (row) => [[row.end === null
          ? `${duration(clock.now() - row.start)} until now`
          : duration(row.end - row.start)]]),
        lines("Reports", (row) => [
          [count(row.reports), "nowrap"],
          [row.reports > 0 ? `the last ${ago(row.reported)}` : "", "quiet"],
        ]),
      ],
    },
    { id: "error", title: "Error", empty: "None.", half: true, key: (row) => row[0],
      columns: keyAndValue("What") },
    {
      id: "log", title: "Log", empty: "Nothing has happened to it.", half: true,
      latest: true, key: (row, n) => `${row.at} ${row.kind} ${n}`,
      columns: [
        lines("Service time", (row) => [[row.date.replace("T", " "), "nowrap"]]),
        lines("What happened", (row) => [[EVENTS[row.kind] ?? row.kind], [row.detail, "quiet"]]),
        lines("Owner", (row) => [[row.hostname]]),
      ],
    },
    { id: "fields", title: "Fields", empty: "It has none.", half: true, key: (row) => row[0],
      columns: keyAndValue("Field") },
  ],
});
