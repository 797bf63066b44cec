// The kinds of cells, and how times and numbers are written.

const GOOD = new Set(["FINISHED", "HEALTHY", "SCHEDULED"]);
const BAD = new Set(["FAILED", "CASCADE_FAILED", "TIMEDOUT", "ERROR"]);
const BUSY = new Set(["RUNNING", "CREATING", "ACTIVATING", "SHUTTING_DOWN", "VALIDATING"]);
const NUMBERS = new Intl.NumberFormat("en");

function count(number) {
  return NUMBERS.format(number);
}

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [minutes, hours, days] = [60, 3600, 86400].map((unit) => Math.floor(whole / unit));
  if (minutes === 0) return `${whole} s`;
  if (hours === 0) return two(minutes, "min", whole % 60, "s");
  if (days === 0) return two(hours, "h", minutes % 60, "min");
  return two(days, "d", hours % 24, "h");
}

function two(large, unit, small, smallUnit) {
  return `${large} ${unit}${small > 0 ? ` ${small} ${smallUnit}` : ""}`;
}

function ago(at) {
  return at === null ? "never" : `${duration(clock.now() - at)} ago`;
}

function toneOf(status) {
  if (GOOD.has(status)) return "good";
  if (BAD.has(status)) return "bad";
  if (BUSY.has(status)) return "busy";
  return status?.startsWith("WAITING") ? "wait" : "";
}

function makePill() {
  return element("span", { class: "pill" });
}

function changePill(pill, text, tone) {
  setText(pill, text);
  setAttribute(pill, "class", `pill ${tone}`);
}

// Lines of text below one another; each is [text, class, address], of which the text is required.
function lines(label, linesOf, style) {
  return {
    label, style,
    make: () => element("div"),
    change: (box, row) => fillList(box, linesOf(row).filter(([text]) => text),
      () => element("a"),
      (line, [text, tone, address]) => {
        setText(line, text);
        setAttribute(line, "class", `line ${tone ?? ""}`);
        if (address) setAttribute(line, "href", address);
        else line.removeAttribute("href");
      }),
  };
}

// Pills beside one another; each is [text, status].
function pills(label, pillsOf) {
  return {
    label,
    make: () => element("div"),
    change: (box, row) => fillList(box, pillsOf(row), makePill,
      (pill, [text, status]) => changePill(pill, text, toneOf(status))),
  };
}

// Buttons beside one another; each is [text, what it is about, action].
function buttons(label, buttonsOf) {
  return {
    label,
    make: () => element("div", { class: "buttons" }),
    change: (box, row) => fillList(box, buttonsOf(row), makeButton,
      (button, [text, subject, act]) => {
        setText(button, `${text}…`);
        setAttribute(button, "aria-label", `${text}… ${subject}`);
        button.onclick = act;
      }),
  };
}

function makeButton() {
  return element("button", { type: "button", "aria-haspopup": "dialog" });
}

function lease(label) {
  return {
    label,
    make: () => element("div", {},
      element("div", { class: "bar", role: "meter", "aria-valuemin": "0" }, element("div")),
      element("span", { class: "nowrap" })),
    change: changeLease,
  };
}

function changeLease(box, row) {
  const [bar, note] = box.children;
  hide(bar, row.deadline === null);
  if (bar.hidden) {
    setText(note, "nobody holds it");
    return;
  }
  const left = Math.max(0, row.deadline - clock.now());
  const part = Math.min(1, left / row.lease);
  const text = row.acknowledged
    ? `${duration(left)} of ${duration(row.lease)}`
    : `${duration(left)} to acknowledge`;
  bar.firstElementChild.style.width = `${(100 * part).toFixed(1)}%`;
  setAttribute(bar, "class", `bar ${part > 0.5 ? "good" : part > 0.2 ? "wait" : "bad"}`);
  setAttribute(bar, "aria-label", `Lease left of ${row.attempt}`);
  setAttribute(bar, "aria-valuemax", String(Math.round(row.lease)));
  setAttribute(bar, "aria-valuenow", String(Math.round(left)));
  setAttribute(bar, "aria-valuetext", text);
  setText(note, text);
}

function fieldLines(fields) {
  return Object.entries(fields).map(([key, value]) => [
    key === "percentComplete" ? `${value} %` : `${key}: ${value}`,
    key.startsWith("error") || key === "reason" ? "bad" : "",
  ]);
}
