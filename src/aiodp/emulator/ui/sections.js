// A section of a view: a heading, and a table of which it may show a part. And what columns have
// in common in several of them. With `latest` there is no more to be had than the latest rows;
// `filters` are the parts of the filter which choose among them.

function toPipeline(id) {
  return `#/pipeline?${new URLSearchParams({ pipeline: id })}`;
}

function toAttempt(pipeline, attempt) {
  return `#/attempt?${new URLSearchParams({ pipeline, attempt })}`;
}

function makeSection({ id, title, empty, half, latest, filters = [], key, columns }) {
  const heading = element("h2", { id: `${id}-title`, tabindex: "-1" }, title);
  const more = element("span", { class: "more" });
  const button = element("button",
    { type: "button", "aria-label": `Show more of: ${title}` }, "Show more");
  button.onclick = () => showMore();
  const { table, update, refresh } = makeTable(`${id}-title`, columns, key);
  const scroll = element("div",
    { class: "scroll", role: "region", tabindex: "0", "aria-labelledby": `${id}-title` }, table);
  const nothing = element("p", { class: "empty" }, empty);
  const section = element("section", { id, class: half ? "half" : "" },
    element("div", { class: "title" }, heading, more, button), scroll, nothing);
  function show({ rows, total }) {
    hide(scroll, rows.length === 0);
    hide(nothing, rows.length > 0);
    setText(nothing, filtersBy(filters) ? "None matches the filter." : empty);
    const hidden = total - rows.length;
    setText(more, hidden > 0 ? `${count(rows.length)} shown, and ${count(hidden)} more` : "");
    hide(button, hidden === 0 || latest || !mayShowMore());
    update(rows);
  }
  return { id, section, show, refresh };
}

const attempt = lines("Attempt", (row) => [
  [row.attempt, "id", toAttempt(row.pipeline, row.attempt)], [row.pipelineName, ""],
  [row.pipeline, "id quiet", toPipeline(row.pipeline)],
], "wide");
const statusPill = pills("Status", (row) => [[row.status, row.status]]);
const owner = lines("Owner", (row) => [
  [row.hostname || "(no hostname)", ""], [row.workerGroup, "quiet"],
]);
const group = lines("Worker group", (row) => [[row.workerGroup || "(none: nobody gets it)"]]);
const leaseLeft = lease("Lease left");
const lastReport = lines("Last report", (row) => [
  [ago(row.reported), "nowrap"], [`${count(row.reports)} in all`, "quiet nowrap"],
]);
const pipelineColumns = [
  lines("Pipeline", (row) => [
    [row.name, "", toPipeline(row.id)], [row.id, "id quiet"], [row.description ?? "", ""],
  ], "wide"),
  pills("State", (row) => [[row.state, row.state]]),
  pills("Health", (row) => (row.health ? [[row.health, row.health]] : [])),
  lines("Next run", (row) => [
    [row.nextRun === null ? "" : `in ${duration(row.nextRun - clock.now())}`, "nowrap"],
  ]),
  pills("Instances", (row) =>
    Object.entries(row.counts).map(([name, n]) => [`${count(n)} ${name}`, name])),
];

function buttonsOfTask(row) {
  return [
    ["Cancel", row.attempt, () => askToCancel(row)],
    ["Give away", row.attempt, () => askToGiveAway(row)],
  ];
}
