// What is asked of the service, and its time.

const FETCH_TIMEOUT = 5000; // milliseconds for one fetch
const API = "/aiodp-api/";

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

// An address of the service, of the region and account which this page's address names.
function addressOf(path, parameters = {}) {
  const query = new URLSearchParams(location.search);
  Object.entries(parameters).forEach(([name, value]) => { if (value) query.set(name, value); });
  return `${API}${path}?${query}`;
}

// Return what the service answers, or the reason why there is nothing: in its own words, if any.
async function ask(address, { signal, ...options } = {}) {
  const timeout = AbortSignal.timeout(FETCH_TIMEOUT);
  try {
    const answer = await fetch(address, {
      cache: "no-store", signal: signal ? AbortSignal.any([signal, timeout]) : timeout, ...options,
    });
    if (answer.ok) return { found: await answer.json() };
    const { error } = await answer.json().catch(() => ({}));
    const reason = `The service answers with HTTP status ${answer.status}: ${error ?? "?"}.`;
    return { reason, error, missing: answer.status === 404 };
  } catch {
    return { reason: "The service does not answer." };
  }
}

// Have the service do something; return null, or say that it did not, or may not have done it.
async function tell(method, path, content) {
  const { reason, error } = await ask(addressOf(path), {
    method, body: JSON.stringify(content), headers: { "Content-Type": "application/json" },
  });
  if (error) return `It was not done: ${error}`;
  return reason ? `It is not known whether it was done: ${reason}` : null;
}
