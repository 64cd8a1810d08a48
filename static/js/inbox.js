// Keeps the inbox's list true while somebody looks at it. New mails wait behind a button while the reader has
// scrolled or is using the list; nothing is fetched in a hidden tab.

const PAUSE = 1500;

const list = document.querySelector("[data-list]");
const pill = document.querySelector("[data-pill]");
const status = document.querySelector("[data-status]");
const ids = (root) => [...root.querySelectorAll("a[data-id]")].map((link) => link.dataset.id);

let version = null;
let waiting = null;
let timer = null;

function show(markup) {
  const before = new Set(ids(list));
  const focused = document.activeElement?.dataset.id;
  list.innerHTML = markup;
  if (focused) list.querySelector(`a[data-id="${focused}"]`)?.focus();
  const after = ids(list);
  for (const link of list.querySelectorAll("a[data-id]")) {
    if (!before.has(link.dataset.id)) link.classList.add("changed");
  }
  document.querySelector("[data-count]").textContent = after.length;
  document.querySelector("[data-empty]").hidden = after.length > 0;
  document.querySelector("[data-delete]").hidden = after.length === 0;
  waiting = null;
  pill.hidden = true;
}

const busy = () => list.scrollTop > 0 || scrollY > 0 || list.contains(document.activeElement);

function offer(markup) {
  const template = document.createElement("template");
  template.innerHTML = markup;
  const before = new Set(ids(list));
  const after = ids(template.content);
  if (after.join() === [...before].join()) return;
  const fresh = after.filter((id) => !before.has(id)).length;
  if (!fresh || !busy()) return show(markup);
  waiting = markup;
  pill.textContent = `${fresh} new`;
  pill.hidden = false;
}

async function look() {
  try {
    const address = `${list.dataset.list}?open=${encodeURIComponent(list.dataset.open)}`;
    const answer = await fetch(address, { headers: version ? { "If-None-Match": version } : {}, cache: "no-store" });
    if (answer.status === 200) {
      version = answer.headers.get("ETag");
      offer(await answer.text());
    } else if (answer.status !== 304) {
      throw new Error(answer.statusText);
    }
    status.textContent = "";
  } catch {
    status.textContent = "The site does not answer. Reconnecting…";
  }
}

async function watch() {
  clearTimeout(timer);
  if (document.hidden) return;
  await look();
  timer = setTimeout(watch, PAUSE);
}

function step(by) {
  const links = [...list.querySelectorAll("a[data-id]")];
  const focused = links.indexOf(document.activeElement);
  const at = focused >= 0 ? focused : links.findIndex((link) => link.dataset.id === list.dataset.open);
  links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

// As in every list of ours: j and k move, enter opens.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (event.key === "j") step(1);
  if (event.key === "k") step(-1);
});

pill.addEventListener("click", () => {
  list.scrollTop = 0;
  scrollTo(0, 0);
  show(waiting);
});
document.addEventListener("visibilitychange", watch);
watch();
