// Ctrl-K: pages, tasks, queues, states and job ids, found by a few letters.

import { startChoices } from "./choice.js";
import { quoted, rooms, searchAddress, vocabulary } from "./vocabulary.js";

const ID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;
const MOST = 12;

let dialog = null;

export function startPalette() {
  const button = document.querySelector("[data-palette]");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", openPalette);
}

export function openPalette() {
  dialog ??= build();
  const input = dialog.querySelector("input");
  input.value = "";
  dialog.showModal();
  input.focus();
}

function build() {
  const made = document.createElement("dialog");
  made.className = "palette";
  made.setAttribute("aria-label", "Find");
  const input = document.createElement("input");
  input.id = "palette";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.placeholder = "A page, task, queue, state, or a job's id";
  input.setAttribute("aria-label", input.placeholder);
  const list = document.createElement("ul");
  list.setAttribute("aria-label", "Found");
  made.append(input, list);
  document.body.append(made);
  startChoices(input, { list, find: (field) => found(field.value.trim()), choose: (choice) => location.assign(choice.address), always: true });
  made.addEventListener("click", (event) => { if (event.target === made) made.close(); });
  return made;
}

function found(text) {
  if (ID.test(text)) return [{ label: `Job ${text}`, note: "by its id", address: `${rooms[0].address}${text}/` }];
  const has = (label) => label.toLowerCase().includes(text.toLowerCase());
  const items = [
    ...rooms.filter((room) => has(room.label)).map((room) => ({ label: room.label, note: "page", address: room.address })),
    ...newJob().filter((one) => has(one.label)),
    ...kind("queue", vocabulary.queues.filter(has)),
    ...kind("state", vocabulary.states.filter(has)),
    ...kind("task", vocabulary.tasks.filter(has)),
  ].slice(0, MOST);
  if (text) items.push({ label: `Search jobs for “${text}”`, note: "search", address: searchAddress(text) });
  return items;
}

const newJob = () => {
  const { newJob: address } = document.querySelector("[data-palette]").dataset;
  return address ? [{ label: "New job", note: "page", address }] : [];
};

const kind = (name, values) => values.map((value) => ({ label: value, note: name, address: searchAddress(`${name}:${quoted(value)}`) }));
