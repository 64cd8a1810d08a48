// Actions that ask first do so in a dialog. The question is the server's, and so is the decision whether to ask.

export function startAsking() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form[data-asks], form[data-list]") || form.dataset.sure) return;
    const button = event.submitter;
    if (!button) return;
    event.preventDefault();
    const question = await ask(form, button);
    if (question) return show(question);
    form.dataset.sure = "yes";
    form.requestSubmit(button);
    delete form.dataset.sure;
  });
}

async function ask(form, button) {
  const body = new FormData(form, button);
  // A button without an address of its own would name the page's.
  const address = button.hasAttribute("formaction") ? button.formAction : form.action;
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
