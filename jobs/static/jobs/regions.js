// Fetches the page anew and changes in place what is different: the same markup, made in one place, by the server.

// What belongs to the reader, not to the server: folds, ticks, what scripts have shown.
const KEPT = new Set(["open", "hidden", "disabled", "aria-selected", "tabindex"]);

const keyOf = (node) => node.dataset?.job ?? node.dataset?.queue ?? (node.id || null);

let running = null;

// Returns the new page, or null where it could not be had.
export async function refresh() {
  running ??= load().finally(() => { running = null; });
  return running;
}

async function load() {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    // Logged out meanwhile, or gone: the page is left as it is.
    if (!answer.ok || new URL(answer.url).pathname !== location.pathname) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of document.querySelectorAll("[data-live]")) {
      const fresh = page.querySelector(`[data-live="${region.dataset.live}"]`);
      if (fresh) change(region, fresh);
    }
    return page;
  } catch {
    return null;
  }
}

export function change(old, fresh) {
  changeAttributes(old, fresh);
  changeChildren(old, fresh);
}

function changeAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!KEPT.has(name) && name !== "class" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

function changeChildren(old, fresh) {
  const keyed = new Map([...old.children].filter(keyOf).map((node) => [keyOf(node), node]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = keyOf(wanted);
    const match = key ? keyed.get(key) : place && !keyOf(place) && isLike(place, wanted) ? place : null;
    if (match) {
      if (match === place) place = place.nextSibling;
      else old.insertBefore(match, place);
      if (match.nodeType === Node.TEXT_NODE) changeText(match, wanted);
      else if (match.nodeType === Node.ELEMENT_NODE) change(match, wanted);
    } else {
      old.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

const isLike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName;

function changeText(old, fresh) {
  if (old.data === fresh.data) return;
  old.data = fresh.data;
  // Times go on by themselves; a tint is for what happened.
  if (!old.parentElement.closest("time, .readout")) tint(old.parentElement);
}

export function tint(element) {
  element.classList.remove("changed");
  void element.offsetWidth;
  element.classList.add("changed");
}
