// One stream of events while somebody looks; says when it is lost, and catches up by the last event's id.

const LONGEST = 30000;
// Some things change without a job: workers go silent, schedules become due. So long at most a page is not looked at.
const ANYWAY = 15000;

export function startLive({ onJob, onLook, pause }) {
  const address = document.querySelector("main[data-events]")?.dataset.events;
  const sign = document.querySelector("[data-live-state]");
  if (!sign) return;

  let source = null;
  let lastId = "";
  let failures = 0;
  let lost = false;
  let retry = null;
  let timer = null;
  let looking = false;
  let again = false;
  let cost = 0;
  let lookedAt = performance.now();

  const say = (words, state) => {
    if (sign.textContent !== words) sign.textContent = words;
    sign.classList.toggle("on", state === "on");
    sign.classList.toggle("off", state === "off");
  };

  // At most one look at a time, and after one that took long a pause, which leaves the server to others. What happens
  // during one may have come too late for it.
  function look(after = pause) {
    again = looking;
    if (timer || looking || document.hidden) return;
    const since = performance.now() - lookedAt;
    timer = setTimeout(async () => {
      const began = performance.now();
      timer = null;
      looking = true;
      await onLook();
      looking = false;
      lookedAt = performance.now();
      cost = lookedAt - began;
      if (again) look();
    }, Math.max(after, Math.min(cost * 4, ANYWAY) - since));
  }

  function open() {
    clearTimeout(retry);
    if (document.hidden || !address) return;
    const url = new URL(address, location.href);
    if (lastId) url.searchParams.set("last_event_id", lastId);
    source = new EventSource(url);
    source.addEventListener("listening", () => {
      say("Live", "on");
      failures = 0;
      // What happened between the page's making and this moment nobody tells.
      look(lost ? 0 : pause);
      lost = false;
    });
    source.addEventListener("error", () => {
      say("Reconnecting…", "off");
      lost = true;
      // A refusal ends a source for good; a lost connection it mends itself.
      if (source.readyState !== EventSource.CLOSED) return;
      failures += 1;
      retry = setTimeout(open, Math.min(LONGEST, 1000 * 2 ** failures));
    });
    source.addEventListener("job", (event) => {
      lastId = event.lastEventId;
      onJob(JSON.parse(event.data));
      look();
    });
    source.addEventListener("tick", () => look());
    source.addEventListener("log", () => look());
    source.addEventListener("reset", () => { lastId = ""; look(0); });
  }

  function close() {
    clearTimeout(retry);
    clearTimeout(timer);
    timer = null;
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => {
    close();
    if (document.hidden) return;
    open();
    look(0);
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  setInterval(() => { if (performance.now() - lookedAt > ANYWAY) look(0); }, ANYWAY / 3);
  if (address) say("Connecting…", "");
  open();
}
