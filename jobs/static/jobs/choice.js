// A text field with a list of choices below it, as the ARIA pattern for comboboxes has it.

export function startChoices(input, { list, find, choose, always = false }) {
  let choices = [];
  let at = -1;

  list.id ||= `${input.id || "choices"}-list`;
  list.setAttribute("role", "listbox");
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");

  function select(index) {
    at = index;
    [...list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === at)));
    const item = list.children[at];
    if (item) {
      input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function draw() {
    choices = find(input);
    list.replaceChildren(...choices.map((choice, index) => {
      const item = document.createElement("li");
      item.id = `${list.id}-${index}`;
      item.setAttribute("role", "option");
      for (const text of [choice.label, choice.note ?? ""].filter(Boolean)) {
        const span = document.createElement("span");
        span.textContent = text;
        item.append(span);
      }
      // Before the field loses its focus.
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        take(index);
      });
      return item;
    }));
    list.hidden = !choices.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    select(always && choices.length ? 0 : -1);
  }

  function close() {
    if (always) return;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    select(-1);
  }

  function take(index) {
    const choice = choices[index];
    if (choice) choose(choice, input);
  }

  input.addEventListener("input", draw);
  input.addEventListener("focus", draw);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const open = !list.hidden;
    if (event.key === "ArrowDown" && !open) draw();
    else if (event.key === "ArrowDown") select((at + 1) % choices.length);
    else if (event.key === "ArrowUp" && open) select((at - 1 + choices.length) % choices.length);
    else if (event.key === "Enter" && open && at >= 0) take(at);
    else if (event.key === "Tab" && open && at >= 0 && !always) take(at);
    else if (event.key === "Escape" && open && !always) close();
    else return;
    event.preventDefault();
  });
  return { draw, close };
}
