// Writing a post: preview, keys for Markdown, the names of chosen files, a warning before a text is lost.

const form = document.querySelector("form.writing");
const text = form.querySelector("[data-markdown]");
const preview = form.querySelector(".preview");
const page = preview.firstElementChild;
const previewSwitch = form.querySelector("[data-preview-switch]");
const files = form.querySelector("input[type=file]");

async function showPreview() {
  const body = new FormData();
  body.set("text", text.value);
  body.set("slug", form.dataset.slug);
  body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    // Sanitised by the server, as the page itself will be.
    page.innerHTML = (await answer.text()) || "<p>Nothing to show yet.</p>";
  } catch {
    page.textContent = "The preview did not come. Your text is still here; save it, or try again.";
  }
}

async function switchPreview() {
  const on = preview.hidden;
  if (on) await showPreview();
  preview.hidden = !on;
  text.closest("div").hidden = on;
  previewSwitch.setAttribute("aria-pressed", String(on));
  previewSwitch.textContent = on ? "Back to the text" : "Preview";
  (on ? page : text).focus();
}

// Inserted as typing is, so that the browser's undo knows it.
function wrap(before, after) {
  const { selectionStart: start, selectionEnd: end, value } = text;
  const chosen = value.slice(start, end);
  if (!document.execCommand("insertText", false, before + chosen + after)) {
    text.setRangeText(before + chosen + after, start, end);
  }
  text.setSelectionRange(start + before.length, start + before.length + chosen.length);
}

const MARKS = { b: ["**", "**"], i: ["*", "*"], k: ["[", "](https://)"] };

function onKey(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  const key = event.key.toLowerCase();
  if (key === "enter") {
    event.preventDefault();
    form.requestSubmit(form.querySelector("button[value=save]"));
  } else if (event.shiftKey && key === "p") {
    event.preventDefault();
    switchPreview();
  } else if (!event.shiftKey && MARKS[key] && event.target === text) {
    event.preventDefault();
    event.stopPropagation();
    wrap(...MARKS[key]);
  }
}

function listFiles() {
  const rows = [...files.files].map((file) => {
    const row = document.createElement("li");
    row.textContent = `${file.name}, ${(file.size / 1e6).toFixed(1)} MB`;
    return row;
  });
  form.querySelector(".chosen").replaceChildren(...rows);
}

let changed = false;
form.addEventListener("input", () => { changed = true; });
form.addEventListener("submit", () => { changed = false; });
addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });

form.addEventListener("keydown", onKey);
files?.addEventListener("change", listFiles);
previewSwitch.addEventListener("click", switchPreview);
previewSwitch.hidden = false;
form.querySelector("[data-keys]").hidden = matchMedia("(pointer: coarse)").matches;
