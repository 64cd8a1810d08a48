// What every page has: the theme switch, relative times, copy buttons, passwords that can be shown, the key to search.

const root = document.documentElement;

const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

function startThemeSwitch(button) {
  const label = () => {
    button.setAttribute("aria-label", isDark() ? "Switch to the light theme" : "Switch to the dark theme");
    button.title = button.getAttribute("aria-label");
  };
  label();
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* Not remembered, then. */ }
    label();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
}

const UNITS = [["s", 1, 60], ["min", 60, 3600], ["h", 3600, 86400], ["day", 86400, Infinity]];

// The same words as the server's `moment` tag.
export function ago(then, now = Date.now()) {
  const seconds = Math.round((now - then) / 1000);
  const distance = Math.abs(seconds);
  if (distance < 5) return "just now";
  const [unit, size] = UNITS.find(([, size, ofNext]) => Math.round(distance / size) * size < ofNext);
  const count = Math.round(distance / size);
  const words = `${count} ${unit === "day" && count !== 1 ? "days" : unit}`;
  return seconds < 0 ? `in ${words}` : `${words} ago`;
}

function refreshTimes() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const words = ago(Date.parse(time.dateTime));
    if (time.textContent !== words) time.textContent = words;
  }
}

function startCopying(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

function startRevealing(input) {
  const box = document.createElement("div");
  const button = document.createElement("button");
  box.className = "reveal";
  button.type = "button";
  button.setAttribute("aria-controls", input.id);
  const label = () => { button.textContent = input.type === "password" ? "Show" : "Hide"; };
  input.replaceWith(box);
  box.append(input, button);
  label();
  button.addEventListener("click", () => {
    input.type = input.type === "password" ? "text" : "password";
    label();
    input.focus();
  });
  // Sent off as a password, else the browser offers to remember it as plain text.
  input.form?.addEventListener("submit", () => { input.type = "password"; });
}

// `/` goes to the search field, unless somebody is writing.
function startSearchKey(input) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
}

document.querySelectorAll("input[aria-keyshortcuts='/']").forEach(startSearchKey);
document.querySelectorAll("[data-theme-switch]").forEach(startThemeSwitch);
document.querySelectorAll("button[data-copy]").forEach(startCopying);
document.querySelectorAll("input[type=password]").forEach(startRevealing);
setInterval(refreshTimes, 5000);
document.addEventListener("visibilitychange", refreshTimes);
