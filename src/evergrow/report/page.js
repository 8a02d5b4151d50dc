"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const palettes = JSON.parse(document.getElementById("palettes").textContent);
  const charts = [...document.querySelectorAll(".chart")];
  const buttons = [...document.querySelectorAll(".legend button")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const memory = `evergrow ${location.pathname}`;
  const hidden = new Set();

  // "@name" and "@name/opacity" become colours of the palette; everything else stays as it is.
  const paint = (value, colors) => {
    if (Array.isArray(value)) return value.map((item) => paint(item, colors));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, paint(item, colors)]));
    }
    const match = typeof value === "string" && /^@([a-z0-9-]+)(?:\/([0-9.]+))?$/.exec(value);
    if (!match || !(match[1] in colors)) return value;
    const hex = colors[match[1]];
    if (!match[2]) return hex;
    const parts = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
    return `rgba(${parts.join(",")},${match[2]})`;
  };

  const PRINT_WIDTH = 680; // pixels of an A4 or letter page between its margins

  const draw = (theme, width) => Promise.all(charts.map((chart) => {
    const figure = paint(figures[chart.dataset.chart], palettes[theme]);
    for (const trace of figure.data) {
      if (trace.meta && hidden.has(trace.meta.arm)) trace.visible = false;
    }
    // A finger scrolls the page; a mouse may zoom along the tokens, double click to return.
    figure.layout.dragmode = touch ? false : "zoom";
    if (width) figure.layout.width = width;
    else figure.layout.autosize = true;
    const options = { displayModeBar: false, responsive: true, showTips: false };
    return Plotly.react(chart, figure.data, figure.layout, options);
  }));
  const drawScreen = () => draw(dark.matches ? "dark" : "light");

  const toggle = (button) => {
    const arm = Number(button.dataset.arm);
    if (!hidden.delete(arm)) hidden.add(arm);
    button.setAttribute("aria-pressed", String(!hidden.has(arm)));
  };
  const remember = () => sessionStorage.setItem(memory, JSON.stringify({
    top: scrollY, hidden: [...hidden], open: [...document.querySelectorAll("details")].map((item) => item.open),
  }));
  const recall = () => {
    const state = JSON.parse(sessionStorage.getItem(memory) ?? "null");
    sessionStorage.removeItem(memory);
    if (!state) return;
    buttons.filter((button) => state.hidden.includes(Number(button.dataset.arm))).forEach(toggle);
    document.querySelectorAll("details").forEach((item, place) => {
      if (place in state.open) item.open = state.open[place];
    });
    history.scrollRestoration = "manual";
    scrollTo({ top: state.top, behavior: "instant" });
  };

  buttons.forEach((button) => button.addEventListener("click", () => { toggle(button); drawScreen(); }));
  dark.addEventListener("change", drawScreen);
  addEventListener("beforeprint", () => draw("light", PRINT_WIDTH));
  addEventListener("afterprint", drawScreen);

  const seconds = Number(document.body.dataset.reload);
  if (seconds) {
    const reload = () => {
      if (document.hidden) return;
      remember();
      location.reload();
    };
    setInterval(reload, seconds * 1000);
  }
  recall();
  drawScreen().then(() => { document.body.dataset.drawn = "yes"; });
})();
