"use strict";
(() => {
  const FIRST_ROWS = 100;
  const MANY_ROWS = 1000;
  const NEAR = 16;
  const TIP_LINES = 18;
  const find = (selector) => document.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  for (const part of all(".choose, .copy")) part.hidden = false;

  // ---- the table: sorted by a click on a head, filtered by state and conditions; the first rows until all are asked for
  const table = find("#table");
  const heads = table ? all("thead th", table) : [];
  const body = table ? table.tBodies[0] : null;
  let shown = FIRST_ROWS;

  // A row as values: the first ones are read from the page, the rest are data until somebody wants to see them.
  const read = (element) => ({
    number: element.id.slice(1),
    state: element.className.slice(2),
    texts: [...element.cells].map((cell) => cell.textContent.trim()),
    exact: element.cells[2].dataset.v,
    element,
  });
  const unfold = ([number, state, exact, ...texts]) => ({
    number: String(number),
    state,
    texts: [String(number), ...texts],
    exact: exact === null ? undefined : String(exact),
    element: null,
  });
  const rest = find("#rest");
  let rows = body ? [...body.rows].map(read) : [];
  if (rest) rows = rows.concat(JSON.parse(rest.textContent).map(unfold));
  const byNumber = new Map(rows.map((row) => [row.number, row]));

  function elementOf(row) {
    if (row.element) return row.element;
    row.element = document.createElement("tr");
    row.element.id = `t${row.number}`;
    row.element.className = `s-${row.state}`;
    for (const text of row.texts) row.element.insertCell().textContent = text;
    return row.element;
  }

  const TERM = /("[^"]*"|[^\s<>=!~"]+)\s*(<=|>=|!=|==?|<|>|~)\s*("[^"]*"|[^\s"]+)|("[^"]*"|\S+)/g;
  const NUMERIC = {
    "<": (a, b) => a < b,
    "<=": (a, b) => a <= b,
    ">": (a, b) => a > b,
    ">=": (a, b) => a >= b,
    "=": (a, b) => a === b,
    "!=": (a, b) => a !== b,
  };
  const bare = (text) => (text.startsWith('"') ? text.slice(1, text.length > 1 && text.endsWith('"') ? -1 : undefined) : text);
  const valueOf = (row, column) => (column === 2 ? row.exact : undefined) ?? row.texts[column];

  function columnOf(name) {
    const names = heads.map((head) => head.textContent.trim());
    const exact = names.indexOf(name);
    return exact >= 0 ? exact : names.findIndex((each) => each.toLowerCase() === name.toLowerCase());
  }

  // What a row must be like: [] of functions, or a sentence about what is wrong.
  function conditionsOf(text) {
    const conditions = [];
    for (const [, name, sign, value, word] of text.matchAll(TERM)) {
      if (word !== undefined) {
        const part = bare(word).toLowerCase();
        if (/^[<>=!~]/.test(word) || /[<>=!~]$/.test(word)) return `"${word}" is half a condition`;
        conditions.push((row) => row.texts.some((each) => each.toLowerCase().includes(part)));
        continue;
      }
      const column = columnOf(bare(name));
      if (column < 0) return `there is no column "${bare(name)}"`;
      const wanted = bare(value);
      const compare = NUMERIC[sign === "==" ? "=" : sign];
      if (sign === "~") {
        const part = wanted.toLowerCase();
        conditions.push((row) => row.texts[column].toLowerCase().includes(part));
      } else if (wanted.trim() !== "" && !Number.isNaN(Number(wanted))) {
        const number = Number(wanted);
        conditions.push((row) => {
          const text = valueOf(row, column);
          return text !== "" && !Number.isNaN(Number(text)) && compare(Number(text), number);
        });
      } else if (sign === "=" || sign === "==" || sign === "!=") {
        // A state's cell says why, too.
        const said = (row) => (column === 1 ? row.state : row.texts[column]);
        conditions.push((row) => compare(said(row), wanted));
      } else {
        return `"${wanted}" is no number`;
      }
    }
    return conditions;
  }

  function refresh() {
    const wanted = find("#state").value;
    const filter = find("#filter");
    const conditions = conditionsOf(filter.value);
    const fault = typeof conditions === "string" ? conditions : "";
    filter.setCustomValidity(fault);
    const fits = (row) => (!wanted || row.state === wanted) && (fault || conditions.every((holds) => holds(row)));
    const fitting = rows.filter(fits);
    const matching = fitting.length;
    const fragment = document.createDocumentFragment();
    for (const row of fitting.slice(0, shown)) fragment.append(elementOf(row));
    body.replaceChildren(fragment);
    const more = find("#more");
    more.hidden = matching <= shown;
    more.textContent = `show all ${matching} rows`;
    const count = more.hidden ? `${matching} shown` : `the first ${shown} of ${matching} shown`;
    find("#count").textContent = fault ? `${fault}: ${count}` : count;
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
      const text = valueOf(row, column);
      return { row, number: Number(row.number), key: text === "" ? null : numeric ? Number(text) : text };
    });
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.number - b.number;
      const by = numeric ? a.key - b.key : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
      return sign * by || a.number - b.number;
    });
    rows = keyed.map((each) => each.row);
    refresh();
  }

  function reveal() {
    const row = /^#t\d+$/.test(location.hash) ? byNumber.get(location.hash.slice(2)) : undefined;
    if (!row) return;
    for (const other of all(".sought", body)) other.classList.remove("sought");
    elementOf(row).classList.add("sought");
    if (row.element.isConnected) return;
    find("#state").value = "";
    find("#filter").value = rows.length > MANY_ROWS ? `trial=${row.number}` : "";
    if (rows.length <= MANY_ROWS) shown = Infinity;
    refresh();
    row.element.scrollIntoView({ block: "center" });
  }

  if (table) {
    for (const head of heads) head.querySelector("button").addEventListener("click", () => sort(head));
    find("#state").addEventListener("change", refresh);
    let typed = 0;
    find("#filter").addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(refresh, rows.length > 2000 ? 250 : 0);
    });
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
    const row = byNumber.get(String(number));
    const lines = [`trial ${number}: ${row.texts[1]}`];
    heads.slice(2).forEach((head, index) => {
      const text = row.texts[index + 2];
      if (text !== "") lines.push(`${head.textContent.trim()} = ${text}`);
    });
    return lines.length > TIP_LINES ? [...lines.slice(0, TIP_LINES - 1), "..."] : lines;
  }

  function point(event) {
    if (event.target.closest(".stage")) return; // Plotly says what is there
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
    showTip(found, event.clientX, event.clientY);
  }

  function showTip(number, x, y) {
    tip.hidden = number === null || !byNumber.has(String(number));
    if (tip.hidden) return;
    tip.textContent = textOf(number).join("\n");
    const left = x + 14;
    const top = y + 14;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top + tip.offsetHeight > innerHeight ? Math.max(4, y - tip.offsetHeight - 10) : top}px`;
  }

  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);

  // ---- Optuna's plots: plotly.js is unpacked when the first of them comes into view. The policy of the page allows it by
  // its digest, and neither the network nor eval.
  const drawings = all(".drawing").filter((figure) => figure.querySelector(".stage"));
  const packed = find("#plotly");
  let library = null;
  let turn = Promise.resolve();

  async function unpacked() {
    const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  async function load() {
    const source = await unpacked();
    // What the policy refuses as an attribute is allowed as a property, and means the same.
    const set = Element.prototype.setAttribute;
    Element.prototype.setAttribute = function (name, value) {
      if (name === "style" && this.style) this.style.cssText = value;
      else set.call(this, name, value);
    };
    // The style sheet of its maps, which no figure here has, would only be refused.
    document.head.appendChild = function (node) {
      return node.localName === "style" && node.textContent ? node : Node.prototype.appendChild.call(this, node);
    };
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    delete document.head.appendChild;
    if (!window.Plotly) throw new Error("the browser did not run plotly.js");
  }

  const SCALES = { order: ["--o0", "--o1", "--o2", "--o3", "--o4", "--o5"], value: ["--v0", "--v1", "--v2", "--v3", "--v4"] };
  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function mixed(names, place) {
    const at = Math.min(Math.max(place, 0), 1) * (names.length - 1);
    const low = Math.min(Math.floor(at), names.length - 2);
    const parts = (text) => [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
    const [a, b] = [parts(variable(names[low])), parts(variable(names[low + 1]))];
    return `rgb(${a.map((each, index) => Math.round(each + (b[index] - each) * (at - low))).join(",")})`;
  }

  function colourOf(text) {
    if (text.startsWith("--")) return variable(text);
    const [kind, place] = text.split(":");
    if (kind === "scale") return mixed(SCALES.value, Number(place));
    return kind === "order" ? mixed(SCALES.order, Number(place)) : text;
  }

  function scaleOf(name) {
    const names = SCALES[name] ?? (name === "good-low" ? [...SCALES.value].reverse() : SCALES.value);
    return names.map((each, index) => [index / (names.length - 1), variable(each)]);
  }

  function resolved(value, key = "") {
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((each) => resolved(each, key));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, resolved(inner, name)]));
    }
    if (typeof value !== "string") return value;
    if (key === "colorscale") return scaleOf(value);
    return key.endsWith("color") ? colourOf(value) : value;
  }

  function template() {
    const [text, soft, grid, edge, panel, blue] = ["text", "soft", "grid", "edge", "panel", "blue"].map((n) => variable("--" + n));
    const none = "rgba(0,0,0,0)";
    const axis = { gridcolor: grid, zerolinecolor: grid, linecolor: soft, tickcolor: soft, showline: true, ticks: "outside", automargin: true, exponentformat: "e" };
    axis.tickfont = { color: soft };
    axis.minorloglabels = "complete"; // 20 and 50 instead of small digits between powers of ten
    return {
      layout: {
        paper_bgcolor: none,
        plot_bgcolor: none,
        font: { color: text, size: 12, family: getComputedStyle(document.body).fontFamily },
        colorway: [blue],
        hoverlabel: { bgcolor: panel, bordercolor: edge, font: { color: text } },
        modebar: { bgcolor: none, color: soft, activecolor: blue },
        legend: { bgcolor: none },
        hovermode: "closest",
        autotypenumbers: "strict",
        xaxis: axis,
        yaxis: axis,
      },
    };
  }

  async function draw(figure) {
    const stage = figure.querySelector(".stage");
    const { data, layout } = JSON.parse(figure.querySelector("script").textContent);
    const coarse = matchMedia("(pointer: coarse)").matches; // a finger scrolls the page
    const small = figure.closest(".plots") !== null && !figure.closest(".two"); // a double click resets these, too
    const bar = small || coarse || figure.clientWidth < 480 ? false : "hover";
    const options = { responsive: true, displaylogo: false, displayModeBar: bar };
    options.modeBarButtons = [["toImage"], layout.xaxis?.fixedrange ? [] : ["zoom2d", "pan2d", "resetScale2d"]];
    figure.classList.add("done");
    stage.style.minWidth = `${figure.dataset.width}px`;
    stage.style.background = variable("--back"); // a page in the dark is printed as it was drawn
    const own = { ...resolved(layout), template: template(), dragmode: coarse ? false : "zoom" };
    await window.Plotly.react(stage, resolved(data), own, options);
    if (stage.dataset.listens) return;
    stage.dataset.listens = "yes";
    const numberOf = (event) => event.points[0].customdata ?? event.points[0].data.meta ?? null;
    stage.on("plotly_hover", (event) => showTip(numberOf(event), event.event.clientX, event.event.clientY));
    stage.on("plotly_unhover", () => (tip.hidden = true));
    stage.on("plotly_click", (event) => {
      const number = numberOf(event);
      if (number !== null && byNumber.has(String(number))) location.hash = `#t${number}`;
    });
  }

  function wanted(figure) {
    turn = turn.then(async () => {
      try {
        library ??= load();
        await library;
        await draw(figure);
      } catch (error) {
        figure.classList.remove("done", "blank");
        figure.classList.add("broken");
        if (!window.Plotly) document.documentElement.classList.remove("scripted");
        const note = document.createElement("span");
        note.className = "waiting";
        note.textContent = `This browser could not draw the interactive plot (${error.message}).`;
        figure.querySelector("figcaption").replaceChildren(note);
      }
    });
    return turn;
  }

  if (packed) {
    document.documentElement.classList.add("scripted");
    const watcher = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (!isIntersecting) continue;
          watcher.unobserve(target);
          wanted(target);
        }
      },
      { rootMargin: "400px" },
    );
    for (const figure of drawings) {
      if (!figure.querySelector(".plain")) {
        figure.classList.add("blank");
        figure.querySelector(".stage").style.minHeight = `${figure.dataset.height}px`;
      }
      watcher.observe(figure);
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const figure of drawings) if (figure.classList.contains("done")) wanted(figure);
    });
  }
})();
