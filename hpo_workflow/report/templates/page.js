"use strict";
(() => {
  const FIRST_ROWS = 100;
  const NEAR = 16;
  const TIP_LINES = 18;
  const find = (selector) => document.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  for (const part of all(".choose, .copy")) part.hidden = false;

  // ---- the table: sorted by a click on a head, filtered by state; the first rows until all are asked for
  const table = find("#table");
  const heads = table ? all("thead th", table) : [];
  const body = table ? table.tBodies[0] : null;
  let rows = body ? [...body.rows] : [];
  let shown = FIRST_ROWS;

  function refresh() {
    const wanted = find("#state").value;
    let matching = 0;
    for (const row of rows) {
      const fits = !wanted || row.classList.contains("s-" + wanted);
      if (fits) matching += 1;
      row.hidden = !fits || matching > shown;
    }
    const more = find("#more");
    more.hidden = matching <= shown;
    more.textContent = `show all ${matching} rows`;
    find("#count").textContent = more.hidden ? `${matching} shown` : `the first ${shown} of ${matching} shown`;
  }

  function sort(head) {
    const opposite = { ascending: "descending", descending: "ascending" };
    const order = head.hasAttribute("aria-sort") ? opposite[head.getAttribute("aria-sort")] : head.dataset.first;
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const column = heads.indexOf(head);
    const numeric = head.dataset.kind === "n";
    const keyed = rows.map((row) => {
      const cell = row.cells[column];
      const text = cell.dataset.v ?? cell.textContent.trim();
      return { row, number: Number(row.cells[0].textContent), key: text === "" ? null : numeric ? Number(text) : text };
    });
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.number - b.number;
      const by = numeric ? a.key - b.key : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
      return sign * by || a.number - b.number;
    });
    rows = keyed.map((each) => each.row);
    body.append(...rows);
    refresh();
  }

  function reveal() {
    const row = /^#t\d+$/.test(location.hash) ? find(location.hash) : null;
    if (!row || !row.hidden) return;
    find("#state").value = "";
    shown = Infinity;
    refresh();
    row.scrollIntoView({ block: "center" });
  }

  if (table) {
    for (const head of heads) head.querySelector("button").addEventListener("click", () => sort(head));
    find("#state").addEventListener("change", refresh);
    find("#more").addEventListener("click", () => {
      shown = Infinity;
      refresh();
    });
    addEventListener("hashchange", reveal);
    refresh();
    reveal();
  }

  // ---- learning curves: one metric at a time
  const metric = find("#metric");
  if (metric) {
    const choose = () => all(".curve").forEach((figure, index) => (figure.hidden = index !== Number(metric.value)));
    metric.addEventListener("change", choose);
    choose();
  }

  // ---- copying
  function copyByHand(text) {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }

  for (const button of all(".copy")) {
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const text = JSON.parse(button.dataset.copy);
      let copied = true;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        copied = copyByHand(text);
      }
      button.textContent = copied ? "copied" : "the browser does not allow it: select the text";
      setTimeout(() => (button.textContent = label), 2000);
    });
  }

  // ---- the trial under the pointer
  const tip = find("#tip");
  const known = new Map();

  function dotsOf(chart) {
    if (!known.has(chart)) {
      const dots = [];
      for (const path of all("path[data-n]", chart)) {
        const numbers = path.dataset.n.split(" ");
        const line = path.classList.contains("line");
        const middle = path.classList.contains("crosses") ? 3 : 0;
        const pairs = [...path.getAttribute("d").matchAll(/[ML]([-\d.]+) ([-\d.]+)/g)];
        pairs.forEach((pair, index) => {
          dots.push([Number(pair[1]) + middle, Number(pair[2]) + middle, line ? numbers[0] : numbers[index]]);
        });
      }
      known.set(chart, dots);
    }
    return known.get(chart);
  }

  function textOf(number) {
    const row = find("#t" + number);
    const lines = [`trial ${number}: ${row.cells[1].textContent.trim()}`];
    heads.slice(2).forEach((head, index) => {
      const text = row.cells[index + 2].textContent.trim();
      if (text !== "") lines.push(`${head.textContent.trim()} = ${text}`);
    });
    return lines.length > TIP_LINES ? [...lines.slice(0, TIP_LINES - 1), "..."] : lines;
  }

  function point(event) {
    const chart = event.target.closest(".chart");
    let found = null;
    if (chart) {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
      let near = NEAR;
      for (const [x, y, number] of dotsOf(chart)) {
        const distance = Math.hypot(x - at.x, y - at.y);
        if (distance < near) [near, found] = [distance, number];
      }
    }
    tip.hidden = found === null;
    if (found === null) return;
    tip.textContent = textOf(found).join("\n");
    const left = event.clientX + 14;
    const top = event.clientY + 14;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top + tip.offsetHeight > innerHeight ? Math.max(4, event.clientY - tip.offsetHeight - 10) : top}px`;
  }

  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
})();
