"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures")?.textContent ?? "{}");
  const toggles = [...document.querySelectorAll("[data-toggle]")];
  const memory = `evergrow ${location.pathname}`;
  const hidden = new Set();

  // Arms: a button hides what is drawn of one, in all charts.
  const toggle = (button) => {
    const arm = button.dataset.toggle;
    if (!hidden.delete(arm)) hidden.add(arm);
    button.setAttribute("aria-pressed", String(!hidden.has(arm)));
    for (const drawn of document.querySelectorAll(`.plot [data-arm="${arm}"]`)) {
      drawn.toggleAttribute("hidden", hidden.has(arm));
    }
  };
  toggles.forEach((button) => button.addEventListener("click", () => toggle(button)));

  // The pointer reads every curve of a chart at its place.
  const nearest = (xs, x) => {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] < x) low = middle; else high = middle;
    }
    return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
  };
  const NEAR = 0.02; // of the width, from the pointer to a mark
  const said = (value) => Math.abs(value) >= 0.01 || !value ? value.toFixed(3) : value.toExponential(2);
  const rows = (chart, x) => {
    const span = chart.high - chart.low, found = [];
    for (const line of [...chart.lines, ...chart.marks]) {
      if (!line.x.length || hidden.has(String(line.arm))) continue;
      const place = nearest(line.x, x);
      const reach = chart.marks.includes(line) ? NEAR * span : Infinity;
      const first = line.x[0] - NEAR * span, last = line.x.at(-1) + NEAR * span;
      if (line.y[place] === null || x < first || x > last || Math.abs(line.x[place] - x) > reach) continue;
      found.push([line.name, said(line.y[place])]);
    }
    return found;
  };
  const show = (box, plot, event) => {
    const area = plot.getBoundingClientRect(), place = box.getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    const chart = figures[box.dataset.chart];
    const x = chart.low + share * (chart.high - chart.low);
    const found = share < 0 || share > 1 ? [] : rows(chart, x);
    box.querySelectorAll(".tip, .cross").forEach((old) => old.remove());
    if (!found.length) return;
    const tip = document.createElement("div"), cross = document.createElement("div");
    tip.className = "tip";
    cross.className = "cross";
    tip.append(`${Math.round(x).toLocaleString("en")} ${chart.counted}`);
    const table = tip.appendChild(document.createElement("table"));
    for (const [name, value] of found) {
      const row = table.insertRow();
      row.insertCell().textContent = name;
      row.insertCell().textContent = value;
      row.cells[0].style = "padding: 0; text-align: left";
    }
    box.append(cross, tip);
    const left = event.clientX - place.left, top = area.top - place.top;
    Object.assign(cross.style, { left: `${left}px`, top: `${top}px`, height: `${area.height}px` });
    const side = left > place.width / 2 ? left - tip.offsetWidth - 12 : left + 12;
    Object.assign(tip.style, { left: `${Math.max(0, side)}px`, top: `${top + 6}px` });
  };
  for (const box of document.querySelectorAll(".chart")) {
    const plot = box.querySelector(".plot");
    if (!figures[box.dataset.chart]?.lines.length) continue;
    box.addEventListener("pointermove", (event) => show(box, plot, event));
    box.addEventListener("pointerleave", () => box.querySelectorAll(".tip, .cross").forEach((old) => old.remove()));
  }

  // A page from a file may not use the clipboard's newer way everywhere.
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => {
      getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
      button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
    });
  }

  // Tables of runs: a head sorts by its column, again the other way; words filter the rows.
  for (const button of document.querySelectorAll(".sortable thead button")) {
    button.addEventListener("click", () => {
      const head = button.parentElement, column = head.cellIndex;
      const turned = head.ariaSort === "ascending" ? -1 : 1;
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].innerText;
      const compare = (one, other) => {
        const [a, b] = [value(one), value(other)];
        if (!a || !b) return a ? -1 : b ? 1 : 0; // what is not known stands last
        return turned * (isNaN(a) || isNaN(b) ? a.localeCompare(b, "en") : a - b);
      };
      const body = head.closest("table").tBodies[0];
      body.append(...[...body.rows].sort(compare));
      for (const other of head.parentElement.cells) other.ariaSort = other === head ? (turned > 0 ? "ascending" : "descending") : null;
    });
  }
  for (const input of document.querySelectorAll("[data-filter]")) {
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      for (const row of document.getElementById(input.dataset.filter).tBodies[0].rows) {
        const text = row.innerText.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
  }

  // While a run goes on its page comes again, at the same place and with the same arms.
  const remember = () => sessionStorage.setItem(memory, JSON.stringify({
    top: scrollY, hidden: [...hidden], open: [...document.querySelectorAll("details")].map((item) => item.open),
  }));
  const recall = () => {
    const state = JSON.parse(sessionStorage.getItem(memory) ?? "null");
    sessionStorage.removeItem(memory);
    if (!state) return;
    toggles.filter((button) => state.hidden.includes(button.dataset.toggle)).forEach(toggle);
    document.querySelectorAll("details").forEach((item, place) => {
      if (place in state.open) item.open = state.open[place];
    });
    history.scrollRestoration = "manual";
    scrollTo({ top: state.top, behavior: "instant" });
  };
  const seconds = Number(document.body.dataset.reload);
  if (seconds) {
    setInterval(() => {
      if (document.hidden) return;
      remember();
      location.reload();
    }, seconds * 1000);
  }
  recall();
})();
