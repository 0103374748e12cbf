"use strict";
// Sorting and filtering the incidents; without it the page says everything all the same.
(() => {
  const list = document.getElementById("incidents");
  const all = [...list.children];
  const words = new Map(all.map((one) => [one, (one.id.slice(2) + " " + one.querySelector(".title").textContent).toLowerCase()]));
  const control = (id) => document.getElementById(id);
  const find = control("find"), severity = control("severity"), changed = control("changed"), sort = control("sort");

  function show() {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const one of all) {
      const fits = words.get(one).includes(wanted)
        && (!severity.value || one.dataset.severity === severity.value)
        && (!changed || !changed.checked || one.dataset.changes !== "0");
      one.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    control("shown").textContent = shown === all.length ? `${shown} incidents` : `${shown} of ${all.length} incidents`;
  }

  function order() {
    const key = sort.value;
    const sign = key === "began" ? 1 : -1;
    list.append(...all.sort((a, b) => sign * (a.dataset[key] - b.dataset[key]) || a.dataset.began - b.dataset.began));
  }

  function open() {
    const one = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (one instanceof HTMLDetailsElement) {
      one.open = true;
      one.scrollIntoView();
    }
  }

  find.addEventListener("input", show);
  severity.addEventListener("change", show);
  if (changed) changed.addEventListener("change", show);
  sort.addEventListener("change", order);
  addEventListener("hashchange", open);
  list.addEventListener("toggle", (event) => {
    if (event.target.open) history.replaceState(null, "", "#" + event.target.id);
  }, true);
  show();
  open();
})();
