// Making and changing elements. Whatever comes from the service goes in as text, never as HTML.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// Even an unchanged attribute, set again, is a change to whoever watches: a screen reader may speak.
function hide(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

function byId(id) {
  return document.getElementById(id);
}

// Give a node as many children as there are items, keeping those it has: whoever reads or selects
// is not disturbed.
function fillList(node, items, make, change) {
  while (node.children.length > items.length) node.lastElementChild.remove();
  while (node.children.length < items.length) node.append(make());
  items.forEach((item, n) => change(node.children[n], item));
}

// A table, and what brings it up to date. Its rows are known by a key, so that they stay the same.
// The roles are said again because a narrow page lays tables out as blocks, which hides them.
function makeTable(labelledBy, columns, keyOf) {
  const heads = columns.map((one) =>
    element("th", { role: "columnheader", scope: "col", class: one.style ?? "" }, one.label));
  const body = element("tbody", { role: "rowgroup" });
  const table = element("table", { role: "table", "aria-labelledby": labelledBy },
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads)), body);

  function newRow() {
    const cells = columns.map((one) => {
      const first = one === columns[0];
      const kind = first ? { role: "rowheader", scope: "row" } : { role: "cell" };
      return element(first ? "th" : "td",
        { ...kind, class: one.style ?? "", "data-label": one.label }, one.make());
    });
    return element("tr", { role: "row" }, ...cells);
  }

  function update(rows) {
    const old = new Map([...body.children].map((line) => [line.rowKey, line]));
    const lines = rows.map((row, n) => {
      const key = keyOf(row, n);
      const line = old.get(key) ?? newRow();
      old.delete(key);
      return Object.assign(line, { row, rowKey: key });
    });
    const kept = new Set(lines);
    const focused = document.activeElement;
    [...body.children].filter((line) => !kept.has(line)).forEach((line) => line.remove());
    lines.forEach((line, n) => {
      if (body.children[n] !== line) body.insertBefore(line, body.children[n] ?? null);
    });
    // A row which was moved has lost the focus.
    if (focused !== document.activeElement && table.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
    refresh();
  }

  // What shows a time changes between two fetches as well.
  function refresh() {
    for (const line of body.children) {
      columns.forEach((one, n) => one.change(line.cells[n].firstElementChild, line.row));
    }
  }

  return { table, update, refresh };
}
