// Actions that ask first do so in a dialog. The question is the server's, and so is the decision whether to ask.

export function startAsking() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-asks], form[data-list]")) return;
    const button = event.submitter;
    if (!button) return;
    event.preventDefault();
    // A button without an address of its own would name the page's.
    const address = button.hasAttribute("formaction") ? button.formAction : form.action;
    const body = new FormData(form, button);
    const question = await ask(address, body);
    if (question) show(question);
    else send(address, body);
  });
}

async function ask(address, given) {
  const body = new FormData();
  for (const [name, value] of given) body.append(name, value);
  body.set("ask", "1");
  try {
    const answer = await fetch(address, { method: "POST", body });
    if (answer.status !== 200) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const question = page.querySelector("form[data-confirmation]");
    if (question) question.action = address;
    return question;
  } catch {
    return null;
  }
}

// In a form of its own: the page may have put another in the place of the one that was used.
function send(address, body) {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: address, hidden: true });
  for (const [name, value] of body) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  document.body.append(form);
  form.submit();
}

function show(question) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "question");
  dialog.append(document.importNode(question, true));
  dialog.querySelector("[data-close]").addEventListener("click", (event) => {
    event.preventDefault();
    dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector(".button").focus();
}
