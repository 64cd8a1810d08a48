// Loaded before the page is painted, so that a remembered theme does not flash in.
(() => {
  const remembered = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (remembered === "light" || remembered === "dark") document.documentElement.dataset.theme = remembered;
})();
