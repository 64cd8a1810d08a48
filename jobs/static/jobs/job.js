// The page of one job: its state follows the events at once.

import { showProgress, showState } from "./badge.js";

export function startJob() {
  const page = document.querySelector("[data-one-job]");
  if (!page) return null;
  return {
    change(job) {
      if (job.id !== page.dataset.oneJob) return;
      const head = page.querySelector("[data-part=state]");
      if (head) showState(head, job.state);
      showProgress(page.querySelector("[data-part=progress]"), job.progress);
    },
  };
}
