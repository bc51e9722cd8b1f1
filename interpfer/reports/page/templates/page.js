"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const one = (id) => document.getElementById(id);
  const make = (tag, options = {}, children = []) => {
    const { className, text, ...attributes } = options;
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };

  /* tables: choose and sort */
  const choose = (group) => {
    const wanted = {};
    for (const select of all("select[data-choose]")) {
      if (select.dataset.choose === group) wanted[select.dataset.key] = select.value;
    }
    for (const sheet of all("[data-sheet]")) {
      if (sheet.dataset.sheet !== group) continue;
      sheet.hidden = !Object.entries(wanted).every(([key, value]) => sheet.dataset[key] === value);
    }
  };
  for (const select of all("select[data-choose]")) {
    select.addEventListener("change", () => choose(select.dataset.choose));
  }
  const sort = (head) => {
    const table = head.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    const text = (row) => row.children[column].textContent;
    const value = (row) => parseFloat(row.children[column].dataset.v);
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const numbers = rows.some((row) => !Number.isNaN(value(row)));
    const [first, then] = numbers ? ["descending", "ascending"] : ["ascending", "descending"];
    const order = head.getAttribute("aria-sort") === first ? then : first;
    const sign = order === "descending" ? -1 : 1;
    rows.sort((a, b) => {
      if (!numbers) return sign * text(a).localeCompare(text(b), "en", { numeric: true });
      const [x, y] = [value(a), value(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    });
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    for (const row of rows) row.classList.remove("first-baseline");
    body.append(...rows);
  };
  for (const button of all("thead button")) button.addEventListener("click", () => sort(button.parentNode));

  /* pictures */
  if (!one("data")) return;
  const data = JSON.parse(one("data").textContent);
  const HEATMAP = data.words.noun, GRID = 28, FINE = 112, CANVAS = 224, STEP = 24;
  const parts = [[0, 16], [17, 21], [22, 26], [27, 30], [31, 35], [36, 41, 1], [42, 47, 1], [48, 59, 1], [60, 67, 1]];
  const stops = data.colours.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const table = new Uint8ClampedArray(256 * 3);
  for (let level = 0; level < 256; level++) {
    const at = (level / 255) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
    for (let part = 0; part < 3; part++) {
      table[3 * level + part] = stops[low][part] + (at - low) * (stops[low + 1][part] - stops[low][part]);
    }
  }
  const opened = new Map();
  const unpack = (packed) => {
    if (!opened.has(packed)) opened.set(packed, Uint8Array.from(atob(packed), (sign) => sign.charCodeAt(0)));
    return opened.get(packed);
  };
  const paint = (canvas, map) => {
    canvas.width = canvas.height = FINE;
    const context = canvas.getContext("2d"), image = context.createImageData(FINE, FINE);
    const place = (i) => Math.min(Math.max((i + 0.5) * GRID / FINE - 0.5, 0), GRID - 1);
    for (let y = 0; y < FINE; y++) {
      const v = place(y), top = Math.min(Math.floor(v), GRID - 2), down = v - top;
      for (let x = 0; x < FINE; x++) {
        const u = place(x), left = Math.min(Math.floor(u), GRID - 2), along = u - left, at = top * GRID + left;
        const level = Math.round((1 - down) * ((1 - along) * map[at] + along * map[at + 1])
          + down * ((1 - along) * map[at + GRID] + along * map[at + GRID + 1]));
        image.data.set(table.subarray(3 * level, 3 * level + 3), 4 * (y * FINE + x));
        image.data[4 * (y * FINE + x) + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  };
  const face = (item, alt) => {
    if (item.jpeg) return make("img", { src: `data:image/jpeg;base64,${item.jpeg}`, alt });
    if (!item.points.length) return make("span", { className: "none", text: data.words.bare });
    const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg");
    svg.setAttribute("viewBox", `0 0 ${CANVAS} ${CANVAS}`);
    if (alt) { svg.setAttribute("role", "img"); svg.setAttribute("aria-label", alt); }
    else svg.setAttribute("aria-hidden", "true");
    for (const [first, last, closed] of parts) {
      const line = document.createElementNS(space, closed ? "polygon" : "polyline");
      line.setAttribute("points", item.points.slice(first, last + 1).map((point) => point.join(",")).join(" "));
      svg.append(line);
    }
    return svg;
  };
  const tile = (item, name, description, map, score) => {
    const pic = make("div", { className: "pic" });
    if (!map) pic.append(face(item, description));
    else if (map.some((value) => value > 0)) {
      const canvas = make("canvas", { role: "img", "aria-label": description });
      pic.append(face(item, ""), canvas);
      paint(canvas, map);
    } else pic.append(make("span", { className: "none", text: name === HEATMAP ? data.words.nothing : "undefined" }));
    const caption = make("figcaption", {}, [make("b", { text: name })]);
    if (score !== undefined && score !== null) caption.append(make("span", { text: score.toFixed(2).replace("-", "−") }));
    return make("figure", { className: "tile" }, [pic, caption]);
  };
  const depth = Math.max(...data.runs.map((run) => run.layers.length));
  let layerIndex = 0;
  const visibleColumns = (run) => {
    const chosen = run.layers[Math.min(layerIndex, run.layers.length - 1)];
    return run.columns.map(([map, layer], place) => ({ map, layer, place }))
      .filter(({ layer }) => layer === "-" || layer === chosen || !run.layers.includes(layer))
      .sort((a, b) => (a.layer !== "-") - (b.layer !== "-"));
  };
  const tiles = (item, index, packed, scores, description, bare) => {
    const run = data.runs[index], bytes = unpack(packed), row = make("div", { className: "tiles" });
    row.append(bare ? make("figure", { className: "tile blank", "aria-hidden": "true" }) : tile(item, data.words.one, description, null));
    for (const { map, layer, place } of visibleColumns(run)) {
      const cells = bytes.subarray(place * GRID * GRID, (place + 1) * GRID * GRID);
      if (bare && !cells.some((value) => value > 0)) {
        row.append(make("figure", { className: "tile blank", "aria-hidden": "true" }, [make("div", { className: "pic" })]));
        continue;
      }
      const where = layer === "-" ? "" : ` at ${layer}`;
      row.append(tile(item, map, `${map}${where}, ${description}`, cells, scores && scores[place]));
    }
    return row;
  };

  const means = one("mean-maps");
  const drawMeans = () => {
    if (!means) return;
    means.replaceChildren(...data.means.map((item) => {
      const head = make("header", {}, [
        make("h3", { text: item.label }),
        make("span", { className: "name", text: `${item.n.toLocaleString("en")} ${data.words.many}` }),
      ]);
      const body = make("div", {});
      data.runs.forEach((run, index) => {
        if (data.runs.length > 1) body.append(make("p", { className: "row", text: run.name }));
        body.append(tiles(item, index, item.maps[index], item.scores[index], `mean of ${item.label}`));
      });
      return make("article", { className: "card" }, [head, body]);
    }));
  };

  const gallery = one("gallery"), more = one("more");
  more.textContent = `Show more ${data.words.many}`;
  let limit = STEP;
  const right = (item, index) => item.predicted[index] === item.label;
  const prediction = (item, index) => {
    const sure = item.confidence[index] === null ? "" : ` (${Math.round(100 * item.confidence[index])} %)`;
    const good = right(item, index), known = item.label !== "";
    const text = `${!known ? "predicted" : good ? "✓ predicted" : "✗ predicted"} ${item.predicted[index]}${sure}`;
    return make("span", { className: `name ${!known ? "" : good ? "right" : "wrong"}`, text });
  };
  const card = (item) => {
    const head = make("header", {}, [make("h3", { text: item.label || "no label" })]);
    if (data.runs.length === 1) head.append(prediction(item, 0));
    head.append(make("span", { className: "name", text: item.id }));
    if (item.groups.length) head.append(make("span", { className: "name", text: item.groups.join(", ") }));
    const node = make("article", { className: "card", "data-face": item.id, "data-label": item.label }, [head]);
    data.runs.forEach((run, index) => {
      if (data.runs.length > 1) {
        node.append(make("p", { className: "row" }, [make("b", { text: `${run.name} ` }), prediction(item, index)]));
      }
      node.append(tiles(item, index, item.maps[index], item.scores[index], `${data.words.one} ${item.id}`));
      if (item.other[index]) {
        const other = run.target === "label" ? item.predicted[index] : item.label;
        const description = run.target === "label" ? "for the predicted class" : "for the true class";
        node.append(make("p", { className: "row" }, [`${description} `, make("b", { text: other })]));
        node.append(tiles(item, index, item.other[index], null, `${description} ${other}, ${data.words.one} ${item.id}`, true));
      }
    });
    return node;
  };
  const change = (item) => {
    const score = (index) => {
      const run = data.runs[index], columns = visibleColumns(run).filter(({ place }) => item.scores[index][place] != null);
      return columns.reduce((sum, { place }) => sum + item.scores[index][place], 0) / columns.length;
    };
    const difference = score(data.runs.length - 1) - score(0);
    return Number.isFinite(difference) ? difference : 0;
  };
  const fits = (item) => {
    const value = (id) => (one(id) ? one(id).value : "");
    const [group, label, state] = [value("by-group"), value("by-class"), value("by-right")];
    const hits = data.runs.map((_, index) => right(item, index));
    const [first, last] = [hits[0], hits[hits.length - 1]];
    return (!group || item.groups.includes(group)) && (!label || item.label === label) && (!state || (item.label !== "" && {
      right: hits.every(Boolean), wrong: !hits.some(Boolean), gained: !first && last, lost: first && !last,
    }[state]));
  };
  const drawGallery = () => {
    const matches = data.faces.filter(fits), order = one("order") ? one("order").value : "";
    if (order) matches.sort((a, b) => (order === "rise" ? change(b) - change(a) : change(a) - change(b)));
    gallery.replaceChildren(...matches.slice(0, limit).map(card));
    one("count").textContent = `${Math.min(limit, matches.length)} of ${matches.length} matching ${data.words.many}; ${data.faces.length} in total.`;
    more.hidden = matches.length <= limit;
  };
  for (const id of ["by-group", "by-class", "by-right", "order"]) {
    if (one(id)) one(id).addEventListener("change", () => { limit = STEP; drawGallery(); });
  }
  more.addEventListener("click", () => {
    const before = gallery.children.length;
    limit += STEP;
    drawGallery();
    const next = gallery.children[before];
    if (next) { next.tabIndex = -1; next.focus({ preventScroll: true }); }
  });
  for (const slider of all(".opacity")) {
    slider.addEventListener("input", () => {
      document.documentElement.style.setProperty("--overlay", slider.value / 100);
      for (const other of all(".opacity")) other.value = slider.value;
    });
  }
  if (depth > 1) {
    for (const label of all(".levels")) label.hidden = false;
    for (const select of all(".level")) {
      for (let index = 0; index < depth; index++) {
        const names = new Set(data.runs.map((run) => run.layers[Math.min(index, run.layers.length - 1)]));
        select.append(make("option", { value: index, text: [...names].join(" / ") }));
      }
      select.addEventListener("change", () => {
        layerIndex = Number(select.value);
        for (const other of all(".level")) other.value = select.value;
        drawMeans();
        drawGallery();
      });
    }
  }
  drawMeans();
  drawGallery();
})();
