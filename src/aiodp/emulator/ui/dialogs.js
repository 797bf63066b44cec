// What can be done to the service; each is asked first, and refusals are shown in its words.

const SAID_FOR = 10000; // milliseconds
let saying = 0; // the timer
const OF_TIME = new Set(["slow", "clock_jump"]); // the faults which need a number of seconds

// Ask in a dialog, and do it if the answer is yes. `inputs` are [label, element], of which each
// element has a name; `act` gets their values by name and returns null, or says what went wrong.
function askFirst({ title, text, verb, inputs = [], act, done }) {
  const dialog = byId("ask");
  const asker = document.activeElement;
  const section = asker.closest("section");
  const wrong = element("p", { class: "bad", role: "alert" });
  const no = element("button", { type: "button" }, "No, leave it");
  const yes = element("button", { class: "primary" }, verb);
  const form = element("form", {}, element("h2", { id: "ask-title" }, title),
    element("p", { id: "ask-text" }, text),
    ...inputs.map(([label, input]) => element("label", {}, element("span", {}, label), input)),
    wrong, element("p", { class: "buttons" }, yes, no));
  no.onclick = () => dialog.close();
  form.onsubmit = async (event) => {
    event.preventDefault();
    yes.disabled = true;
    const refusal = await act(Object.fromEntries(new FormData(form)));
    yes.disabled = false;
    setText(wrong, refusal ?? "");
    if (!form.isConnected) return;
    if (refusal !== null) {
      yes.focus(); // which it has lost by being disabled
      return;
    }
    dialog.close();
    say(done);
    look();
  };
  dialog.onclose = () => { if (!asker.checkVisibility()) goOnFrom(section); };
  dialog.replaceChildren(form);
  dialog.showModal();
  (inputs[0]?.[1] ?? no).focus();
}

// Say what was done. It stays for a while, or until another view is opened.
function say(text) {
  clearTimeout(saying);
  setText(byId("said"), text);
  if (text) saying = setTimeout(say, SAID_FOR, "");
}

function askToCancel(row) {
  askFirst({
    title: "Cancel this task?", verb: "Cancel the task",
    text: `${row.attempt}: its worker is told with its next report, as by SetStatus TRY_CANCEL.`,
    act: () => tell("POST", "tasks/cancel", { taskId: row.task }), done: "The task is canceled.",
  });
}

function askToGiveAway(row) {
  askFirst({
    title: "Give this task away?", verb: "End its lease",
    text: `${row.attempt}: its lease ends now, as if its worker had been silent; what its worker `
      + "sends from now on is refused.",
    act: () => tell("POST", "tasks/give-away", { taskId: row.task }), done: "The lease is ended.",
  });
}

function askToRerun(pipelineId, instanceId) {
  askFirst({
    title: "Run this again?", verb: "Run it again",
    text: `${instanceId} gets another attempt, as by SetStatus RERUN.`,
    act: () => tell("POST", "pipelines/rerun", { pipelineId, instanceId }),
    done: "It runs again.",
  });
}

function askToTerminate(row) {
  askFirst({
    title: "Terminate this task runner?", verb: "Terminate it",
    text: `${row.id} is told to terminate with its next heartbeat.`,
    act: () => tell("POST", "taskrunners/terminate", { taskrunnerId: row.key }),
    done: "The task runner will be told to terminate.",
  });
}

function askToJump() {
  const seconds = element("input",
    { name: "jump", type: "number", min: "0", step: "any", value: "60", required: "" });
  askFirst({
    title: "Let the time jump ahead?", verb: "Jump",
    text: "What is due meanwhile happens at once, in all accounts and regions: leases run out, "
      + "and schedules make runs.",
    inputs: [["Seconds of the service", seconds]],
    act: ({ jump }) => tell("POST", "clock", { jump: Number(jump) }),
    done: "The time has jumped ahead.",
  });
}

function choice(name, options) {
  return element("select", { name },
    ...options.map(([value, text]) => element("option", { value }, text)));
}

function askForFault(taskId = null) {
  const kind = choice("kind", FAULT_KINDS.map((one) => [one, one]));
  const seconds = element("input",
    { name: "seconds", type: "number", min: "0", step: "any", value: "10", required: "" });
  kind.onchange = () => { seconds.disabled = !OF_TIME.has(kind.value); };
  kind.onchange();
  const operation = choice("operation",
    [["", "every operation"], ...OPERATIONS.map((one) => [one, one])]);
  const calls = element("input",
    { name: "count", type: "number", min: "1", step: "1", value: "1" });
  askFirst({
    title: taskId === null ? "Add a fault?" : "Add a fault for this task?", verb: "Add the fault",
    text: `From now on ${taskId === null ? "calls" : "its calls"} get this instead of an answer.`,
    inputs: [["Kind", kind], ["Operation", operation],
      ["Calls it changes (empty: until it is ended)", calls],
      ["Seconds, of slow and clock_jump", seconds]],
    act: (given) => tell("POST", "faults", faultOf(given, taskId)), done: "The fault is added.",
  });
}

function faultOf({ kind, operation, count: calls, seconds }, taskId) {
  const fault = { kind };
  if (operation) fault.actions = [operation];
  if (calls) fault.count = Number(calls);
  if (taskId !== null) fault.tasks = [taskId];
  if (kind === "slow") fault.delay = Number(seconds);
  if (kind === "clock_jump") fault.jump = Number(seconds);
  return fault;
}

function askToEndFaults() {
  askFirst({
    title: "End all faults?", verb: "End them", text: "Calls are answered as usual again.",
    act: () => tell("DELETE", "faults", {}), done: "All faults are ended.",
  });
}
