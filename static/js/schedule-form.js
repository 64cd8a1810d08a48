// In the admin's form of a schedule: says in words what the chosen crontab means.

const words = JSON.parse(document.getElementById("readable-crontabs").textContent);
const select = document.getElementById("id_crontab");
const unused = document.querySelector(".field-crontab_translation");
const note = document.createElement("div");

function say() {
  note.textContent = words[select.value] ?? "";
}

if (unused) unused.hidden = true;
if (select) {
  note.className = "help";
  select.closest(".form-row")?.append(note);
  select.addEventListener("change", say);
  say();
}
