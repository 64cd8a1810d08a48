// A search that has found nothing yet goes on by itself. Each answer is quick, however large the ledger is.

import { change } from "./regions.js";

export async function startFurther() {
  const place = document.querySelector("[data-further]");
  const link = document.querySelector(".pager [rel=next]");
  while (place) {
    const next = place.dataset.further;
    const answer = await fetch(next, { headers: { Accept: "text/html" } }).catch(() => null);
    // What is there stays, and so does the link to go on by hand.
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const further = page.querySelector("[data-further]");
    // Something was found, or there is nothing further.
    if (!further) return void location.replace(next);
    change(place, further);
    link.href = place.dataset.further;
  }
}
