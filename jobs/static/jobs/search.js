// Suggestions for the word of the search line that is being written.

import { startChoices } from "./choice.js";
import { quoted, vocabulary } from "./vocabulary.js";

const AGES = ["15m", "1h", "6h", "1d", "7d"];
const MOST = 8;

export function startSearch() {
  const input = document.querySelector("form[data-search] input[name=q]");
  if (!input) return;
  const list = document.createElement("ul");
  list.className = "suggestions";
  list.hidden = true;
  list.setAttribute("aria-label", "Suggestions");
  input.after(list);
  const choices = startChoices(input, {
    list,
    find: (field) => suggestions(word(field).text),
    choose(choice, field) {
      const { start, end } = word(field);
      const space = choice.open ? "" : " ";
      field.setRangeText(choice.text + space, start, end, "end");
      if (choice.open) choices.draw();
      else choices.close();
    },
  });
}

function word(input) {
  const end = input.selectionEnd;
  const start = input.value.lastIndexOf(" ", end - 1) + 1;
  return { start, end, text: input.value.slice(start, end) };
}

// What begins with the letters comes before what has them somewhere.
function matching(items, letters) {
  const [begun, others] = [[], []];
  for (const item of items) {
    if (item.startsWith(letters)) begun.push(item);
    else if (item.includes(letters)) others.push(item);
  }
  return [...begun, ...others];
}

function suggestions(text) {
  const [name, value] = text.includes(":") ? text.split(/:(.*)/s) : [null, text];
  const known = { task: vocabulary.tasks, state: vocabulary.states, queue: vocabulary.queues, since: AGES, until: AGES };
  if (name !== null) {
    return matching(known[name] ?? [], value)
      .filter((item) => item !== value)
      .slice(0, MOST)
      .map((item) => ({ label: `${name}:${item}`, text: `${name}:${quoted(item)}` }));
  }
  const names = Object.entries(vocabulary.names)
    .filter(([one]) => one.startsWith(value))
    .map(([one, note]) => ({ label: one.endsWith(".") ? `${one}…` : `${one}:`, note, text: one.endsWith(".") ? one : `${one}:`, open: true }));
  if (!value) return names;
  const tasks = matching(vocabulary.tasks, value).map((task) => ({ label: `task:${task}`, text: `task:${quoted(task)}` }));
  const states = vocabulary.states.filter((state) => state.startsWith(value)).map((state) => ({ label: `state:${state}`, text: `state:${state}` }));
  return [...names, ...states, ...tasks].slice(0, MOST);
}
