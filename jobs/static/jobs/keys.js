// The keyboard. Single keys work wherever no text is being written.

import { openPalette } from "./palette.js";
import { rooms } from "./vocabulary.js";

const KEYS = [
  ["/", "search jobs"],
  ["j  k", "next, previous row"],
  ["x", "choose the row"],
  ["Enter", "open the row"],
  ["r", "retry what is chosen, or the row, or the job"],
  ["Ctrl K", "find a page, task, queue or job id"],
  ["Esc", "close"],
  ["?", "show this"],
];

// How long a second letter may take after `g`.
const PATIENCE = 1200;

export function startKeys(list) {
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      return openPalette();
    }
    const writing = event.target.closest("textarea, select, input:not([type=checkbox])");
    if (event.ctrlKey || event.metaKey || event.altKey || writing || document.querySelector("dialog[open]")) return;
    if (going && performance.now() - going < PATIENCE) {
      going = 0;
      const room = rooms.find((one) => one.key === event.key);
      if (room) location.assign(room.address);
      return;
    }
    going = 0;
    const act = {
      g: () => { going = performance.now(); },
      "/": search,
      "?": showKeys,
      j: list?.next,
      k: list?.previous,
      x: list?.toggle,
      r: list ? list.retry : () => document.querySelector("[data-retry]")?.click(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function search() {
  const input = document.querySelector("form[data-search] input[type=search]");
  if (!input) return location.assign(`${rooms.find((room) => room.key === "j").address}#q`);
  input.focus();
  input.select();
}

function showKeys() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys");
  const title = document.createElement("h2");
  title.id = "keys";
  title.textContent = "Keys";
  const list = document.createElement("dl");
  list.className = "keys";
  for (const [keys, what] of [...KEYS, ...rooms.map((room) => [`g  ${room.key}`, `go to ${room.label}`])]) {
    const term = document.createElement("dt");
    term.append(...keys.split("  ").flatMap((key, index) => {
      const kbd = document.createElement("kbd");
      kbd.textContent = key;
      return index ? [" ", kbd] : [kbd];
    }));
    const meaning = document.createElement("dd");
    meaning.textContent = what;
    list.append(term, meaning);
  }
  dialog.append(title, list);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
}

// From another page by `/`: `#q` scrolls to the field; the focus is for us to give.
if (location.hash === "#q") document.getElementById("q")?.focus();
