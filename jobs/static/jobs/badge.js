// A job's state, told by an event, shown before the server is asked for the rest.

import { tint } from "./regions.js";

const templates = document.querySelector("template[data-states]");

export function showState(place, state) {
  const old = place.querySelector(".state");
  if (!old || old.classList.contains(state)) return;
  const badge = templates.content.querySelector(`.state.${state}`).cloneNode(true);
  old.replaceWith(badge);
  tint(badge);
}

export function showProgress(place, progress) {
  const bar = place?.querySelector("progress");
  if (!bar || !progress) return;
  if (progress.total) {
    bar.max = progress.total;
    bar.value = progress.done;
  }
  const words = progress.total
    ? `${progress.done.toLocaleString("en")} of ${progress.total.toLocaleString("en")} (${Math.round((100 * progress.done) / progress.total)} %)`
    : `${progress.done.toLocaleString("en")} done`;
  place.querySelector("span").textContent = progress.message ? `${words} · ${progress.message}` : words;
}
