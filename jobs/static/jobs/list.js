// The list of jobs, or of dead letters: choosing rows, moving by keyboard, new rows behind a pill while it is in use.

import { showProgress, showState } from "./badge.js";
import { change, tint } from "./regions.js";

export function startList() {
  const form = document.querySelector("[data-list]");
  if (!form) return null;
  const body = form.querySelector("tbody");
  const table = body.closest("table");
  const choosing = startChoosing(form, body);
  const pill = form.querySelector("[data-pill]");
  const isFirstPage = !new URLSearchParams(location.search).has("after");
  let at = -1;
  let waiting = null;

  const rows = () => [...body.rows];
  const rowOf = (id) => body.querySelector(`tr[data-job="${id}"]`);
  const busy = () =>
    scrollY > 40 || choosing.count() > 0 || at >= 0 || body.contains(document.activeElement) || table.matches(":hover");

  function move(by) {
    at = Math.min(Math.max((at < 0 && by > 0 ? -1 : at) + by, 0), rows().length - 1);
    const row = rows()[at];
    row.querySelector(".first a").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  const current = () => {
    const focused = document.activeElement?.closest("tr");
    return focused && body.contains(focused) ? focused : rows()[at];
  };

  function show(page) {
    const fresh = page.querySelector("[data-list] tbody");
    if (!fresh) return;
    const before = new Set(rows().map((row) => row.dataset.job));
    change(body, fresh);
    for (const row of rows()) if (!before.has(row.dataset.job)) tint(row);
    choosing.refresh();
    waiting = null;
    if (pill) pill.hidden = true;
  }

  // What is on the page is made true at once; what is new waits while the list is in use.
  function renew(page) {
    const fresh = page.querySelector("[data-list] tbody");
    if (!fresh) return;
    const added = [...fresh.rows].filter((row) => row.dataset.job && !rowOf(row.dataset.job));
    for (const row of fresh.rows) {
      const old = row.dataset.job && rowOf(row.dataset.job);
      if (old) change(old, document.importNode(row, true));
    }
    choosing.refresh();
    if (!isFirstPage || !pill) return;
    if (!busy()) return show(page);
    if (!added.length) return;
    waiting = page;
    pill.textContent = added.length === fresh.rows.length ? `${added.length} or more new` : `${added.length} new`;
    pill.hidden = false;
  }

  pill?.addEventListener("click", () => {
    scrollTo({ top: 0 });
    at = -1;
    if (waiting) show(waiting);
  });

  return {
    renew,
    change(job) {
      const row = rowOf(job.id);
      if (!row) return;
      row.dataset.state = job.state;
      showState(row.querySelector("[data-part=state]"), job.state);
      showProgress(row.querySelector("[data-part=progress]"), job.progress);
    },
    next: () => move(1),
    previous: () => move(-1),
    toggle: () => choosing.toggle(current()),
    open: () => current()?.querySelector(".first a").click(),
    retry() {
      if (!choosing.count() && current()) choosing.toggle(current());
      form.querySelector("[data-verb=Retry], [data-verb=Replay]")?.click();
    },
  };
}

// Ticks, all of the page, all that match; the buttons say how many they are about.
function startChoosing(form, body) {
  const bar = form.querySelector("[data-bulk]");
  if (!bar) return { count: () => 0, toggle: () => {}, refresh: () => {} };
  const all = bar.querySelector("[name=all]");
  const page = bar.querySelector("[data-page]");
  const buttons = [...bar.querySelectorAll("[data-verb]")];
  const boxes = () => [...body.querySelectorAll("input[name=id]")];
  const chosen = () => boxes().filter((box) => box.checked);
  let latest = null;

  function refresh() {
    const count = chosen().length;
    for (const box of boxes()) {
      box.disabled = all.checked;
      box.closest("tr").ariaSelected = String(box.checked || all.checked);
    }
    for (const button of buttons) {
      button.disabled = !count && !all.checked;
      const words = all.checked ? `${button.dataset.verb} ${all.nextElementSibling.textContent.trim()}` : `${button.dataset.verb}${count ? ` ${count}` : ""}`;
      if (button.textContent !== words) button.textContent = words;
    }
    page.firstElementChild.checked = count > 0 && count === boxes().length;
    page.firstElementChild.indeterminate = count > 0 && count < boxes().length;
    page.firstElementChild.disabled = all.checked;
  }

  page.hidden = false;
  page.firstElementChild.addEventListener("change", (event) => {
    for (const box of boxes()) box.checked = event.target.checked;
    refresh();
  });
  all.addEventListener("change", refresh);
  body.addEventListener("click", (event) => {
    const box = event.target.closest("input[name=id]");
    if (!box) return;
    if (event.shiftKey && latest && latest !== box) {
      const [from, to] = [boxes().indexOf(latest), boxes().indexOf(box)].sort((a, b) => a - b);
      for (const between of boxes().slice(from, to + 1)) between.checked = box.checked;
    }
    latest = box;
    refresh();
  });
  // A browser may bring ticks back with the page.
  addEventListener("pageshow", refresh);
  refresh();

  return {
    refresh,
    count: () => (all.checked ? Infinity : chosen().length),
    toggle(row) {
      const box = row?.querySelector("input[name=id]");
      if (!box || box.disabled) return;
      box.checked = !box.checked;
      refresh();
    },
  };
}
