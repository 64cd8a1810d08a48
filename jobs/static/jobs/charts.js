// What a chart says of the step under the pointer, beside its title: nothing floats, nothing moves.

export function startCharts() {
  for (const chart of document.querySelectorAll("[data-chart]")) {
    const readout = chart.querySelector(".readout");
    chart.addEventListener("pointermove", (event) => {
      const step = event.target.closest?.(".hit");
      readout.textContent = step ? step.querySelector("title").textContent : "";
    });
    chart.addEventListener("pointerleave", () => { readout.textContent = ""; });
  }
}
