"use strict";
(() => {
  const started = performance.now();
  const log = JSON.parse(document.getElementById("log").textContent);
  const count = log.x.length;
  const { width: eventWidth, height: eventHeight } = log.event;
  const byId = (id) => document.getElementById(id);
  const canvas = byId("drawing");
  const pen = canvas.getContext("2d");

  // Causes and effects of each event, and what each line covers, from the flat list of lines.
  const lines = [];
  const causes = Array.from({ length: count }, () => []);
  const effects = Array.from({ length: count }, () => []);
  for (let at = 0; at < log.lines.length;) {
    const [cause, effect, bends] = [log.lines[at], log.lines[at + 1], log.lines[at + 2]];
    const line = { cause, effect, bends: log.lines.slice(at + 3, at + 3 + bends) };
    at += 3 + bends;
    const ends = [log.x[cause], log.x[effect], ...line.bends];
    line.left = Math.min(...ends);
    line.right = Math.max(...ends) + eventWidth;
    causes[effect].push(line);
    effects[cause].push(line);
    lines.push(line);
  }

  // Rows of events, from top to bottom, each from left to right.
  const rowOf = new Map();
  for (let event = 0; event < count; event++) {
    const row = rowOf.get(log.y[event]);
    if (row) row.push(event); else rowOf.set(log.y[event], [event]);
  }
  const rows = [...rowOf].map(([y, events]) => ({ y, events: events.sort((a, b) => log.x[a] - log.x[b]) }));
  rows.sort((a, b) => a.y - b.y);

  const idOf = (event) => {
    const hex = log.ids.slice(event * 32, event * 32 + 32);
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  };
  const entityOf = (event) => log.entities[log.entity[event]];
  const nameOf = (event) => log.label[event] ?? entityOf(event);

  // The first number in 0..end for which `holds`.
  const first = (end, holds) => {
    let low = 0;
    while (low < end) {
      const middle = (low + end) >> 1;
      if (holds(middle)) end = middle; else low = middle + 1;
    }
    return low;
  };

  const view = { scale: 1, x: 0, y: 0, width: 0, height: 0 };
  const SCALE_MIN = 0.002;
  const SCALE_MAX = 4;
  let shown = count;
  let hovered = -1;
  let pinned = -1;
  let related = null;
  let found = [];
  let foundAt = -1;
  let isFound = new Uint8Array(count);
  let isMoving = false;
  let isScheduled = false;
  let settle = 0;

  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => { isScheduled = false; draw(); });
  };

  // What the view shows moved away from under the pointer.
  const leave = () => {
    hovered = -1;
    byId("hover").hidden = true;
    canvas.classList.remove("over");
  };

  const setScale = (scale, atX, atY) => {
    const next = Math.min(SCALE_MAX, Math.max(SCALE_MIN, scale));
    view.x = atX - (atX - view.x) * next / view.scale;
    view.y = atY - (atY - view.y) * next / view.scale;
    view.scale = next;
    move();
  };

  // While the view moves only part of the lines is drawn; all of them when it rests.
  const move = () => {
    isMoving = true;
    leave();
    clearTimeout(settle);
    settle = setTimeout(() => { isMoving = false; schedule(); }, 120);
    schedule();
  };

  const showWhole = () => {
    leave();
    const fit = Math.min(view.width / log.width, view.height / log.height, 1);
    view.scale = Math.max(fit, SCALE_MIN);
    view.x = (view.width - log.width * view.scale) / 2;
    view.y = Math.max(0, (view.height - log.height * view.scale) / 2);
    schedule();
  };

  // All of it if that can be read, else its beginning.
  const showFirst = () => {
    showWhole();
    if (view.scale >= 0.12 || count === 0) return;
    view.scale = 0.5;
    view.x = view.width / 2 - (log.x[0] + eventWidth / 2) * view.scale;
    view.y = 0;
  };

  const centre = (event) => {
    leave();
    view.scale = Math.max(view.scale, 0.8);
    view.x = view.width / 2 - (log.x[event] + eventWidth / 2) * view.scale;
    view.y = view.height / 2 - (log.y[event] + eventHeight / 2) * view.scale;
    schedule();
  };

  const resize = () => {
    view.width = canvas.clientWidth;
    view.height = canvas.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(view.width * ratio);
    canvas.height = Math.round(view.height * ratio);
    schedule();
  };

  const trace = (line) => {
    const half = eventWidth / 2;
    let x = log.x[line.cause] + half;
    let y = log.y[line.cause] + eventHeight;
    pen.moveTo(x, y);
    const isCurved = view.scale > 0.15;
    const to = (nextX, nextY) => {
      const middle = (y + nextY) / 2;
      if (isCurved) pen.bezierCurveTo(x, middle, nextX, middle, nextX, nextY); else pen.lineTo(nextX, nextY);
      [x, y] = [nextX, nextY];
    };
    let layer = log.layer[line.cause];
    for (const bend of line.bends) {
      layer++;
      to(bend, log.layers[2 * layer]);
      y = log.layers[2 * layer + 1];
      pen.lineTo(bend, y);
    }
    to(log.x[line.effect] + half, log.y[line.effect]);
  };

  const LINES_MOVING_MAX = 6000;

  const drawLines = (box) => {
    const visible = lines.filter((line) => line.effect < shown
      && line.right >= box.left && line.left <= box.right
      && log.y[line.cause] <= box.bottom && log.y[line.effect] >= box.top);
    const step = isMoving ? Math.ceil(visible.length / LINES_MOVING_MAX) : 1;
    const isStrong = (line) => related !== null && related[line.cause] === related[line.effect]
      && related[line.cause] !== 0 || line.cause === pinned && related[line.effect] === 2
      || line.effect === pinned && related[line.cause] === 1;
    pen.lineWidth = Math.max(1.2, 0.6 / view.scale);
    pen.strokeStyle = related ? "#00000018" : visible.length > 4000 ? "#3a4a6a30" : "#3a4a6a90";
    pen.beginPath();
    for (let at = 0; at < visible.length; at += step) trace(visible[at]);
    pen.stroke();
    if (related === null) return;
    pen.lineWidth *= 1.6;
    for (const [side, colour] of [[1, "#1a5fb4"], [2, "#c64600"]]) {
      pen.strokeStyle = colour;
      pen.beginPath();
      for (const line of visible) {
        if (isStrong(line) && (related[line.cause] === side || related[line.effect] === side)) trace(line);
      }
      pen.stroke();
    }
  };

  const drawEvent = (event, pixel) => {
    const [x, y, mark] = [log.x[event], log.y[event], log.mark[event]];
    const isDim = event >= shown || related !== null && related[event] === 0 && event !== pinned;
    pen.globalAlpha = event >= shown ? 0.12 : isDim ? 0.3 : 1;
    pen.fillStyle = log.colours[log.entity[event]];
    pen.fillRect(x, y, eventWidth, eventHeight);
    if (view.scale > 0.12 || mark !== "0") {
      pen.lineWidth = mark === "1" ? Math.max(2.5, 2 * pixel) : Math.max(1, pixel / 2);
      pen.strokeStyle = mark === "1" ? "#c00000" : "#505050";
      pen.setLineDash(mark === "2" ? [5, 3] : []);
      pen.strokeRect(x, y, eventWidth, eventHeight);
      pen.setLineDash([]);
    }
    if (mark === "2") {
      pen.beginPath();
      pen.moveTo(x + 134, y + 9); pen.lineTo(x + 146, y + 21);
      pen.moveTo(x + 146, y + 9); pen.lineTo(x + 134, y + 21);
      pen.stroke();
    } else if (mark === "1") {
      pen.fillStyle = "#c00000";
      pen.beginPath();
      pen.arc(x + 139, y + 14, 7, 0, 7);
      pen.fill();
    }
    if (log.outside[event]) {
      pen.fillStyle = "#505050";
      pen.beginPath();
      pen.moveTo(x, y); pen.lineTo(x + 10, y); pen.lineTo(x, y + 10);
      pen.fill();
    }
    if (view.scale > 0.4) drawText(event, x, y, mark);
  };

  const drawText = (event, x, y, mark) => {
    const name = nameOf(event);
    pen.fillStyle = mark === "2" ? "#6a6a6a" : "#101010";
    pen.font = "11px sans-serif";
    pen.fillText(name.length > 22 ? `${[...name].slice(0, 22).join("")}…` : name, x + 9, y + 14, eventWidth - 30);
    pen.fillStyle = "#505050";
    pen.font = "9px sans-serif";
    pen.fillText(`#${log.position[event]} · ${log.kinds[log.kind[event]]}`, x + 9, y + 27, eventWidth - 18);
  };

  const outline = (event, colour, pixels) => {
    const pixel = 1 / view.scale;
    const least = 7 * pixel;
    const [wide, high] = [Math.max(eventWidth, least), Math.max(eventHeight, least)];
    pen.globalAlpha = 1;
    pen.strokeStyle = colour;
    pen.lineWidth = pixels * pixel;
    pen.strokeRect(log.x[event] + (eventWidth - wide) / 2, log.y[event] + (eventHeight - high) / 2, wide, high);
  };

  const visibleEvents = function* (box) {
    const start = first(rows.length, (at) => rows[at].y + eventHeight >= box.top);
    for (let at = start; at < rows.length && rows[at].y <= box.bottom; at++) {
      const { events } = rows[at];
      const left = first(events.length, (n) => log.x[events[n]] + eventWidth >= box.left);
      for (let n = left; n < events.length && log.x[events[n]] <= box.right; n++) yield events[n];
    }
  };

  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#fafafa";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(ratio * view.scale, 0, 0, ratio * view.scale, ratio * view.x, ratio * view.y);
    const box = {
      left: -view.x / view.scale, right: (view.width - view.x) / view.scale,
      top: -view.y / view.scale, bottom: (view.height - view.y) / view.scale,
    };
    pen.globalAlpha = 1;
    drawLines(box);
    const visible = [...visibleEvents(box)];
    for (const event of visible) drawEvent(event, 1 / view.scale);
    for (const event of visible) if (isFound[event] && event < shown) outline(event, "#e5a50a", 3);
    if (foundAt >= 0) outline(found[foundAt], "#a51d2d", 4);
    if (pinned >= 0) outline(pinned, "#000000", 3);
    if (hovered >= 0) outline(hovered, "#1a5fb4", 2);
    document.body.dataset.drawnMs ??= String(Math.round(performance.now() - started));
  };

  const fill = (list, event) => {
    const entries = [
      ["label", log.label[event]], ["entity", entityOf(event)], ["scope", log.scopes[log.scope[event]]],
      ["kind", log.kinds[log.kind[event]]], ["position", log.position[event]], ["id", idOf(event)],
      ["correlation", log.correlation[event]], ["mark", ["", "denial", "shredded"][log.mark[event]]],
      ["causes", causes[event].length], ["caused by it", effects[event].length],
      ...(log.outside[event] ?? []), ["payload", log.payload[event]],
    ];
    list.replaceChildren();
    for (const [word, value] of entries) {
      if (value === undefined || value === "") continue;
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = word;
      text.textContent = value;
      list.append(term, text);
    }
  };

  const eventAt = (pointX, pointY) => {
    const [x, y] = [(pointX - view.x) / view.scale, (pointY - view.y) / view.scale];
    const row = rows[first(rows.length, (at) => rows[at].y + eventHeight >= y)];
    if (!row || row.y > y) return -1;
    const event = row.events[first(row.events.length, (n) => log.x[row.events[n]] + eventWidth >= x)];
    return event !== undefined && log.x[event] <= x && event < shown ? event : -1;
  };

  const hover = (pointer) => {
    const bounds = canvas.getBoundingClientRect();
    const [x, y] = [pointer.clientX - bounds.left, pointer.clientY - bounds.top];
    const event = eventAt(x, y);
    const panel = byId("hover");
    if (event !== hovered) {
      hovered = event;
      canvas.classList.toggle("over", event >= 0);
      panel.hidden = event < 0;
      if (event >= 0) fill(panel.querySelector("dl"), event);
      schedule();
    }
    if (event < 0) return;
    panel.style.left = `${Math.max(4, Math.min(x + 16, view.width - panel.offsetWidth - 8))}px`;
    panel.style.top = `${Math.max(4, Math.min(y + 16, view.height - panel.offsetHeight - 8))}px`;
  };

  const spread = (event, side, next) => {
    const open = [event];
    while (open.length > 0) {
      for (const near of next(open.pop())) {
        if (related[near] === 0 && near < shown) { related[near] = side; open.push(near); }
      }
    }
  };

  // Marks the past of an event with 1 and its future with 2.
  const pin = (event) => {
    pinned = event;
    byId("details").hidden = event < 0;
    related = event < 0 ? null : new Uint8Array(count);
    if (event >= 0) {
      spread(event, 1, (at) => causes[at].map((line) => line.cause));
      spread(event, 2, (at) => effects[at].map((line) => line.effect));
      fill(byId("details").querySelector("dl"), event);
    }
    schedule();
  };

  let haystack = null;
  const textOf = (event) => [
    entityOf(event), log.scopes[log.scope[event]], log.kinds[log.kind[event]], `#${log.position[event]}`,
    idOf(event), log.correlation[event] ?? "", log.label[event] ?? "", ["", "denial", "shredded"][log.mark[event]],
    log.payload[event] ?? "",
  ].join(" ").toLowerCase();
  const prepareSearch = () => { haystack ??= Array.from({ length: count }, (_, event) => textOf(event)); };

  const search = () => {
    const begun = performance.now();
    prepareSearch();
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    found = [];
    foundAt = -1;
    isFound = new Uint8Array(count);
    for (let event = 0; event < count && words.length > 0; event++) {
      if (words.every((word) => haystack[event].includes(word))) { found.push(event); isFound[event] = 1; }
    }
    byId("found").value = words.length > 0 ? `${found.length} found` : "";
    document.body.dataset.searchMs = (performance.now() - begun).toFixed(1);
    schedule();
  };

  const step = (by) => {
    if (found.length === 0) return;
    foundAt = foundAt < 0 && by < 0 ? found.length - 1 : (foundAt + by + found.length) % found.length;
    byId("found").value = `${foundAt + 1} of ${found.length}`;
    centre(found[foundAt]);
  };

  const showUpTo = (events) => {
    shown = events;
    leave();
    byId("shown").value = shown === 0 ? `none of ${count} events`
      : `${log.position[shown - 1]} · ${shown} of ${count} events`;
    if (pinned >= shown) pin(-1); else pin(pinned);
  };

  const legend = () => {
    const totals = new Map();
    for (const entity of log.entity) totals.set(entity, (totals.get(entity) ?? 0) + 1);
    const most = [...totals].sort((a, b) => b[1] - a[1]);
    const entry = (text, style, name) => {
      const [line, sign] = [document.createElement("div"), document.createElement("i")];
      if (style) sign.style.background = style;
      if (name) sign.className = name;
      line.append(sign, text);
      line.title = text;
      byId("legend").append(line);
    };
    for (const [entity, total] of most.slice(0, 20)) entry(`${log.entities[entity]} (${total})`, log.colours[entity]);
    if (most.length > 20) entry(`and ${most.length - 20} more ${most.length === 21 ? "entity" : "entities"}`, "#fff");
    if (log.mark.includes("2")) entry("shredded", null, "shredded");
    if (log.mark.includes("1")) entry("denial", null, "denial");
    if (Object.keys(log.outside).length > 0) entry("causes from outside", null, "outside");
  };

  // One pointer drags, two pinch.
  const pointers = new Map();
  let dragged = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    dragged = 0;
    canvas.classList.add("moving");
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) { hover(event); return; }
    const [byX, byY] = [event.clientX - before.clientX, event.clientY - before.clientY];
    dragged += Math.abs(byX) + Math.abs(byY);
    const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    pointers.set(event.pointerId, event);
    if (other) {
      const apart = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
      const bounds = canvas.getBoundingClientRect();
      setScale(view.scale * apart(event) / Math.max(1, apart(before)), other.clientX - bounds.left, other.clientY - bounds.top);
    } else if (dragged > 3) {
      view.x += byX;
      view.y += byY;
      move();
    }
  });
  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    canvas.classList.remove("moving");
    const bounds = canvas.getBoundingClientRect();
    if (event.type === "pointerup" && dragged <= 3) pin(eventAt(event.clientX - bounds.left, event.clientY - bounds.top));
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => { leave(); schedule(); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const bounds = canvas.getBoundingClientRect();
    const turn = Math.max(-60, Math.min(60, event.deltaY * (event.deltaMode === 1 ? 16 : 1)));
    setScale(view.scale * Math.exp(-turn * 0.006), event.clientX - bounds.left, event.clientY - bounds.top);
  }, { passive: false });

  const zoom = (by) => setScale(view.scale * by, view.width / 2, view.height / 2);
  byId("nearer").addEventListener("click", () => zoom(1.4));
  byId("farther").addEventListener("click", () => zoom(1 / 1.4));
  byId("whole").addEventListener("click", showWhole);
  byId("next").addEventListener("click", () => step(1));
  byId("previous").addEventListener("click", () => step(-1));
  byId("unpin").addEventListener("click", () => pin(-1));
  byId("search").addEventListener("input", search);
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); step(event.shiftKey ? -1 : 1); }
  });
  byId("upto").addEventListener("input", (event) => showUpTo(Number(event.target.value)));
  const pan = (byX, byY) => { view.x += byX; view.y += byY; move(); };
  const keys = {
    "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": showWhole,
    "/": () => byId("search").focus(), Escape: () => pin(-1),
    ArrowLeft: () => pan(80, 0), ArrowRight: () => pan(-80, 0), ArrowUp: () => pan(0, 80), ArrowDown: () => pan(0, -80),
  };
  document.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement && event.key !== "Escape") return;
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  window.addEventListener("resize", resize);

  byId("upto").max = String(count);
  byId("upto").value = String(count);
  legend();
  resize();
  showFirst();
  showUpTo(count);
  draw();
  (window.requestIdleCallback ?? setTimeout)(prepareSearch);
})();
