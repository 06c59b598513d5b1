/* The explorer: ablate training data, see the counterfactual. It reads window.GENENS_EXPLORER, which chapters/explorer/feed.py
   writes, and, once a reader asks for another ensemble, a world, window.GENENS_WORLDS of its script; nothing is fetched.
   The numbers are those of genens: `influence` is attribution.influence, `counterfactual` is
   jacobians.linear_counterfactual, ties and their order are attribution.top_k's. window.genensExplorer lets tests ask. */
(function () {
  "use strict";
  const VERSION = 2, PAGE = 48, STAYED = 1e-9, MOST_CODES = 200000, MOST_CHOICES = 100;
  const root = document.getElementById("genens-explorer");
  if (!root) return;

  /* ------------------------------------------------------------------ data, as arrays */

  function decode(text) {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    return bytes;
  }

  function unpack(packed, N, n) {  // numpy.packbits along the last axis: most significant bit first
    const stride = Math.ceil(n / 8), bits = new Uint8Array(N * n);
    for (let x = 0; x < N; x++)
      for (let i = 0; i < n; i++) bits[x * n + i] = (packed[x * stride + (i >> 3)] >> (7 - (i & 7))) & 1;
    return bits;
  }

  function twinsOf(codes, N, n) {  // the row of each row's complementary code, -1 where there is none
    const where = new Map(), twins = new Int32Array(N);
    const key = (x, flip) => {
      let text = "";
      for (let i = 0; i < n; i++) text += codes[x * n + i] ^ flip;
      return text;
    };
    for (let x = N - 1; x >= 0; x--) where.set(key(x, 0), x);
    for (let x = 0; x < N; x++) twins[x] = where.get(key(x, 1)) ?? -1;
    return twins;
  }

  function everyCode(codes, N, n) {  // all codes of their length and weight; null where weights differ, or for too many
    let h = 0, count = 1;
    for (let i = 0; i < n; i++) h += codes[i];
    for (let x = 0; x < N; x++) {
      let weight = 0;
      for (let i = 0; i < n; i++) weight += codes[x * n + i];
      if (weight !== h) return null;
    }
    for (let i = 1; i <= h; i++) count = count * (n - h + i) / i;
    if (count > MOST_CODES) return null;
    const every = new Uint8Array(count * n);
    for (let x = 0, bits = (1 << h) - 1; x < count; x++) {
      for (let i = 0; i < n; i++) every[x * n + i] = (bits >> i) & 1;
      const low = bits & -bits, next = bits + low;  // the next larger number with as many bits (Gosper)
      bits = (((next ^ bits) >>> 2) / low) | next;
    }
    return every;
  }

  async function opened(name, part) {
    const codes = unpack(decode(part.codes), part.items, part.n);
    return {
      name, n: part.n, N: part.items, B: part.samples, shape: part.shape, pixels: part.shape.reduce((a, b) => a * b),
      codes, labels: part.classes.length > 256 ? new Uint16Array(decode(part.labels).buffer) : decode(part.labels), classes: part.classes,
      twins: twinsOf(codes, part.items, part.n), general: new Set(part.general), top: part.top,
      y: new Int16Array(decode(part.y.int16).buffer), yScale: part.y.scale,
      J: new Int16Array(decode(part.J.int16).buffer), JScale: part.J.scale,
      gram: new Float64Array(decode(part.gram).buffer), placebo: part.placebo, truth: part.truth,
      reads: part.reads && part.reads.map(row => row.map(c => part.classes[c])), sure: part.sure, cache: new Map(),
      every: everyCode(codes, part.items, part.n), chances: new Map(),
      kept: part.kept && new Map(part.kept.map((x, place) => [x, place])),  // null: the thumbnails of all
      sheet: await loaded(part.thumbs), truths: pixelsOf(await loaded(part.truth.sheet)),
    };
  }

  /* ------------------------------------------------------------------ the mathematics */

  const uniform = n => new Float64Array(n).fill(1 / n);

  function ablated(E, x) {  // u_-x: equal weights on the members that do not hold item x
    const v = new Float64Array(E.n);
    let left = 0;
    for (let i = 0; i < E.n; i++) left += 1 - E.codes[x * E.n + i];
    for (let i = 0; i < E.n; i++) v[i] = E.codes[x * E.n + i] ? 0 : 1 / left;
    return v;
  }

  function change(E, s, v) {  // ||J (v - u_0)||, from the Gram matrix
    const n = E.n, base = s * n * n;
    let square = 0;
    for (let i = 0; i < n; i++) {
      const d = v[i] - 1 / n;
      square += E.gram[base + i * n + i] * d * d;
      for (let j = 0; j < i; j++) square += 2 * E.gram[base + i * n + j] * (d * (v[j] - 1 / n));
    }
    return Math.sqrt(Math.max(square, 0));
  }

  function lengths(E, s, codes) {  // ||J (u_-x - u_0)|| of every row of codes
    const n = E.n, N = codes.length / n, scores = new Float64Array(N), d = new Float64Array(n), flat = [];
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++)
      flat.push((i === j ? 1 : 2) * E.gram[s * n * n + i * n + j]);
    for (let x = 0; x < N; x++) {
      let left = 0, square = 0, k = 0;
      for (let i = 0; i < n; i++) left += 1 - codes[x * n + i];
      for (let i = 0; i < n; i++) d[i] = (codes[x * n + i] ? 0 : 1 / left) - 1 / n;
      for (let i = 0; i < n; i++) {
        for (let j = 0; j <= i; j++) square += flat[k++] * (d[i] * d[j]);
      }
      scores[x] = Math.sqrt(Math.max(square, 0));
    }
    return scores;
  }

  function first(sorted, reached) {  // the index of the first value for which `reached` holds, as for all after it
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (reached(sorted[middle])) high = middle; else low = middle + 1;
    }
    return low;
  }

  function influence(E, s) {  // of every item on sample s; kept
    if (!E.cache.has(s)) {
      const scores = lengths(E, s, E.codes);
      const sorted = Float64Array.from(scores).sort(), order = new Int32Array(E.N), rank = new Int32Array(E.N);
      const placed = new Int32Array(E.N);  // of equal scores, how many have their place: the earlier row first
      for (let x = 0; x < E.N; x++) {
        const above = E.N - first(sorted, score => score > scores[x]);
        rank[x] = above + 1;
        order[above + placed[above]++] = x;
      }
      E.cache.set(s, { scores, order, rank });
    }
    return E.cache.get(s);
  }

  function chance(E, s) {  // p: the share of all codes with at least each item's influence; how many items stand out; kept
    if (!E.every) return null;
    if (!E.chances.has(s)) {
      const all = lengths(E, s, E.every).sort(), { scores, order } = influence(E, s), p = new Float64Array(E.N);
      let out = 0;
      order.forEach((x, r) => {
        const least = scores[x] * (1 - 1e-9);  // to rounding
        p[x] = (all.length - first(all, score => score >= least)) / all.length;
        if (p[x] * E.N <= 0.05 * (r + 1)) out = r + 1;  // Benjamini and Hochberg
      });
      E.chances.set(s, { p, out, codes: all.length });
    }
    return E.chances.get(s);
  }

  function counterfactual(E, s, v) {  // y + J (v - u_0), clamped to [-1, 1]
    const out = new Float64Array(E.pixels);
    for (let p = 0; p < E.pixels; p++) out[p] = E.y[s * E.pixels + p] * E.yScale[s];
    for (let i = 0; i < E.n; i++) {
      const row = s * E.n + i, by = (v[i] - 1 / E.n) * E.JScale[row];
      if (by) for (let p = 0; p < E.pixels; p++) out[p] += by * E.J[row * E.pixels + p];
    }
    for (let p = 0; p < E.pixels; p++) out[p] = Math.min(1, Math.max(-1, out[p]));
    return out;
  }

  const same = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < STAYED);

  function regenerated(E, s, v) {  // which of the sample's stored images is that of mixture v: a column, or -1
    for (let i = 0; i < E.truth.alone; i++) if (Math.abs(v[i] - 1) < STAYED) return i;
    const k = E.truth.rows[s].findIndex(x => same(v, ablated(E, x)));
    return k < 0 ? -1 : E.truth.alone + k;
  }

  /* ------------------------------------------------------------------ pictures */

  const H = () => E().shape[1], W = () => E().shape[2];

  function loaded(address) {
    return new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve(image);
      image.onerror = () => reject(new Error("a sheet of images is damaged"));
      image.src = address;
    });
  }

  function pixelsOf(sheet) {  // red, green, blue and opacity of every pixel of a sheet, 0..255
    const canvas = document.createElement("canvas");
    canvas.width = sheet.width; canvas.height = sheet.height;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.drawImage(sheet, 0, 0);
    return pen.getImageData(0, 0, sheet.width, sheet.height).data;
  }

  function trueImage(E, s, k) {  // channel after channel, in [-1, 1]
    const [C, H, W] = E.shape, columns = E.truth.alone + E.truth.rows[s].length, out = new Float64Array(E.pixels);
    for (let c = 0, p = 0; c < C; c++)
      for (let y = 0; y < H; y++)
        for (let x = 0; x < W; x++, p++) out[p] = E.truths[4 * (((s * H + y) * columns + k) * W + x) + c] / 127.5 - 1;
    return out;
  }

  function paint(canvas, values, colour) {
    const pen = canvas.getContext("2d"), picture = pen.createImageData(W(), H()), P = W() * H(), C = E().shape[0];
    for (let p = 0; p < P; p++) colour(c => values[c % C * P + p], picture.data, 4 * p);
    pen.putImageData(picture, 0, 0);
  }

  const shade = (value, to, at) => {  // a picture, grey or in colour
    for (let c = 0; c < 3; c++) to[at + c] = (value(c) + 1) * 127.5;
    to[at + 3] = 255;
  };
  let tones = {};

  function readTones() {  // colours of the theme, as numbers where pixels need them
    const style = getComputedStyle(root), probe = document.createElement("span");
    root.append(probe);
    for (const name of ["less", "more", "zero", "ink", "muted", "rule", "stays", "goes", "band"]) {
      probe.style.color = style.getPropertyValue("--gx-" + name);
      const text = getComputedStyle(probe).color;
      tones[name] = { text, rgb: text.match(/[\d.]+/g).slice(0, 3).map(Number) };
    }
    probe.remove();
  }

  function signed(value, to, at) {  // a change of brightness, the mean of the channels: more, less, or none
    const mean = (value(0) + value(1) + value(2)) / 3, share = Math.min(1, Math.abs(mean));
    const end = mean < 0 ? tones.less.rgb : tones.more.rgb;
    for (let c = 0; c < 3; c++) to[at + c] = tones.zero.rgb[c] + share * (end[c] - tones.zero.rgb[c]);
    to[at + 3] = 255;
  }

  const place = x => E().kept ? E().kept.get(x) ?? -1 : x;  // of an item's thumbnail on the sheet, -1 for none

  function paintThumb(canvas, x) {
    const at = place(x), pen = canvas.getContext("2d");
    canvas.classList.toggle("gx-unkept", at < 0);
    pen.clearRect(0, 0, W(), H());
    if (at >= 0) pen.drawImage(E().sheet, (at % 100) * W(), Math.floor(at / 100) * H(), W(), H(), 0, 0, W(), H());
  }

  /* ------------------------------------------------------------------ small helpers for the page */

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const picture = (label, extra = {}) =>
    make("canvas", { width: W(), height: H(), class: "gx-image", ...(label ? { role: "img", "aria-label": label }
      : { "aria-hidden": "true" }), ...extra });
  const number = value => value >= 100 ? value.toFixed(0) : value.toPrecision(3);
  const small = value => value >= 0.001 ? value.toFixed(3) : value.toPrecision(1);
  const percent = value => (100 * value).toFixed(value && value < 0.0995 ? 1 : 0) + "\u00a0%";
  const many = value => value.toLocaleString("en");
  const set = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  function arrows(list, pick) {  // one tab stop; arrows, Home and End move inside
    const options = () => [...list.querySelectorAll("[role=option]")].filter(o => !o.hidden);
    list.addEventListener("keydown", event => {
      const all = options(), here = all.indexOf(document.activeElement);
      if (here < 0) return;
      const top = all[0].offsetTop, row = Math.max(1, all.filter(o => o.offsetTop === top).length);
      const to = { ArrowRight: here + 1, ArrowLeft: here - 1, ArrowDown: here + row, ArrowUp: here - row, Home: 0,
        End: all.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = all[Math.min(all.length - 1, Math.max(0, to))];
      focusOne(list, next);
      next.focus();
      if (pick) next.click();
    });
  }

  function focusOne(list, option) {
    for (const other of list.querySelectorAll("[role=option]")) other.tabIndex = other === option ? 0 : -1;
  }

  /* ------------------------------------------------------------------ state, and the address that tells it */

  const state = { e: "images", s: 0, x: -1, w: [], c: "", g: false, t: false, shown: PAGE };
  let ensembles = {}, data, note = "", wanted;
  const E = () => ensembles[state.e];
  const ofClasses = () => state.e === "classes";
  const className = x => E().classes[E().labels[x]];
  const itemName = x => ofClasses() ? `class ${className(x)}`
    : `training image ${many(x)}, ${/ \d+$/.test(className(x)) ? "of" : /^[aeiou]/i.test(className(x)) ? "an" : "a"} ${className(x)}`;  // person 7
  const readAs = (s, k, before = "") => E().reads ? `${before}reads as ${E().reads[s][k]}` : "";  // nobody reads some worlds
  const readSure = (s, before = "") => E().reads ? `${readAs(s, 0, before)}, ${percent(E().sure[s][0])} sure` : "";
  const unkept = x => place(x) < 0 ? ", its picture is not kept" : "";

  function mixture() {
    if (state.x >= 0) return ablated(E(), state.x);
    const total = state.w.reduce((a, b) => a + b, 0);
    return Float64Array.from(state.w, w => w / total);
  }

  function address() {
    const parts = [`e=${state.e}`, `s=${state.s}`];
    if (state.x >= 0) parts.push(`x=${state.x}`);
    else if (state.w.some(w => w !== state.w[0])) parts.push(`w=${state.w.join(".")}`);
    if (state.c !== "") parts.push(`c=${state.c}`);
    if (state.g) parts.push("g=1");
    if (state.t) parts.push("t=1");
    return "#" + parts.join("&");
  }

  function readAddress(given) {  // what of the address makes sense is taken; what does not is said
    const wrong = [];
    const whole = (name, below, otherwise) => {
      if (!given.has(name)) return otherwise;
      const value = Number(given.get(name));
      if (given.get(name) !== "" && Number.isInteger(value) && value >= 0 && value < below) return value;
      wrong.push(`${name}=${given.get(name)}`);
      return otherwise;
    };
    if (!ensembles[given.get("e")]) wrong.push(`e=${given.get("e")}`);
    state.s = whole("s", E().B, 0);
    state.x = whole("x", E().N, -1);
    state.w = new Array(E().n).fill(100);
    if (given.has("w") && state.x < 0) {
      const w = given.get("w").split(".").map(Number);
      const good = w.length === E().n && w.every(v => v >= 0 && v <= 100) && w.some(v => v > 0);
      if (good) state.w = w; else wrong.push(`w=${given.get("w")}`);
    }
    const c = whole("c", E().classes.length, "");
    state.c = c === "" ? "" : String(c);
    state.g = given.get("g") === "1";
    state.t = given.get("t") === "1";
    note = wrong.length ? `The address asks for ${wrong.join(" and ")}, which is not there. ` : "";
  }

  let written = "";
  function writeAddress() {
    written = address();
    if (location.hash !== written) history.replaceState(history.state, "", written);
  }

  /* ------------------------------------------------------------------ the page */

  let ui = {};

  function build() {
    const tab = (name, title, words) => make("label", { class: "gx-tab" },
      make("input", { type: "radio", name: "gx-ensemble", value: name, onchange: () => changeEnsemble(name) }),
      make("span", {}, make("b", {}, title), " ", make("small", {}, words)));
    const I = ensembles.images, C = ensembles.classes;
    ui.tabs = make("fieldset", { class: "gx-tabs" }, make("legend", { class: "gx-hidden" }, "Ensemble"),
      tab("images", "Unlearn an image", `${many(I.N)} images, ${I.n} members`),
      tab("classes", "Unlearn a class", `${C.N} classes, ${C.n} members`),
      ...data.more.map(world => tab(world.name, world.title, world.words)));
    ui.gallery = make("div", { class: "gx-gallery", role: "listbox", "aria-label": "Generated samples" });
    arrows(ui.gallery, true);
    const tile = (name, title) => {
      ui[name] = picture(title);
      ui[name + "Note"] = make("span", { class: "gx-note" });
      return make("figure", { class: `gx-tile gx-tile-${name}` }, ui[name], make("figcaption", {}, make("b", {}, title),
        ui[name + "Note"]));
    };
    ui.status = make("p", { class: "gx-status", role: "status", "aria-live": "polite" });
    ui.stage = make("div", { class: "gx-stage" }, make("div", { class: "gx-tiles" }, tile("sample", "Sample"),
      tile("approximate", "Predicted"), tile("change", "Change"), tile("true", "True"), tile("error", "Error")), ui.status);
    ui.members = make("div", { class: "gx-members", role: "group", "aria-label": "Members of the ensemble" });
    ui.reset = make("button", { type: "button", class: "gx-button", onclick: () => setWeights(new Array(E().n).fill(100)) },
      "All members, equally");
    ui.desk = make("section", { class: "gx-desk", "aria-labelledby": "gx-desk" },
      make("div", { class: "gx-head" }, make("h3", { id: "gx-desk" }, "Who takes part"), ui.reset), ui.members,
        ui.deskKey = make("p", { class: "gx-key" }));
    buildSearch();
    ui.cards = make("div", { class: "gx-cards", role: "listbox", "aria-labelledby": "gx-cards" });
    arrows(ui.cards, false);
    ui.check = make("section", { class: "gx-check", "aria-labelledby": "gx-cards" },
      ui.cardsTitle = make("h3", { id: "gx-cards" }), ui.cardsKey = make("p", { class: "gx-key" }), ui.cards);
    ui.histogram = make("canvas", { class: "gx-plot", role: "img" });
    ui.scatter = make("canvas", { class: "gx-plot", role: "img" });
    ui.histogramKey = make("p", { class: "gx-key" });
    ui.scatterKey = make("p", { class: "gx-key" });
    ui.plots = make("div", { class: "gx-plots" },
      make("section", { "aria-labelledby": "gx-land" }, make("h3", { id: "gx-land" }, "The landscape"), ui.histogram,
        ui.histogramKey),
      make("section", { "aria-labelledby": "gx-lin" }, make("h3", { id: "gx-lin" }, "Where the line bends"), ui.scatter,
        ui.scatterKey));
    const main = make("div", { class: "gx-main" }, ui.stage, ui.desk, ui.search, ui.check, ui.plots);
    root.replaceChildren(ui.tabs, make("div", { class: "gx-body" },
      make("div", { class: "gx-left" }, ui.galleryTitle = make("h3", { class: "gx-side" }, "Generated samples"),
        ui.gallery), main));
  }

  function buildSearch() {
    ui.filter = make("select", { "aria-label": "Class of the images shown", onchange: event => filter("c",
      event.target.value) });
    const check = (name, id) => make("label", { class: "gx-option" },
      ui[id] = make("input", { type: "checkbox", onchange: event => filter(name, event.target.checked) }),
        ui[id + "Text"] = make("span"));
    ui.thumbs = make("div", { class: "gx-thumbs", role: "listbox", "aria-labelledby": "gx-search" });
    arrows(ui.thumbs, false);
    ui.more = make("button", { type: "button", class: "gx-button", onclick: () => { state.shown += PAGE; drawSearch(); } });
    ui.found = make("p", { class: "gx-key", role: "status", "aria-live": "polite" });
    ui.search = make("section", { class: "gx-search", "aria-labelledby": "gx-search" },
      make("h3", { id: "gx-search" }, "The most influential training images"),
      make("div", { class: "gx-filters" }, make("label", { class: "gx-option" }, make("span", {}, "Show "), ui.filter),
        check("g", "general"), check("t", "stored")),
      ui.found, ui.thumbs, ui.more);
  }

  /* ---- what belongs to an ensemble: gallery, members */

  function drawEnsemble() {
    for (const input of ui.tabs.querySelectorAll("input")) input.checked = input.value === state.e;
    root.dataset.ensemble = state.e;
    ui.search.hidden = ofClasses();
    ui.filter.parentElement.hidden = E().classes.length > MOST_CHOICES;
    ui.filter.replaceChildren(make("option", { value: "" }, data.ensembles[state.e] ? "all digits" : "all classes"),
      ...E().classes.map((name, c) => make("option", { value: c }, `only ${name}`)));
    for (const name of ["sample", "approximate", "change", "true", "error"])
      Object.assign(ui[name], { width: W(), height: H() });
    ui.gallery.replaceChildren(...[...Array(E().B).keys()].map(s => {
      const canvas = picture("");
      paint(canvas, counterfactual(E(), s, uniform(E().n)), shade);
      return make("div", { class: "gx-choice", role: "option", onclick: () => changeSample(s),
        "aria-label": `Sample ${s}${readSure(s, ", ")}` }, canvas);
    }));
    ui.strips = [...Array(E().n).keys()].map(i => {
      const strip = { light: make("span", { class: "gx-light", "aria-hidden": "true" }), share: make("span",
        { class: "gx-share" }) };
      strip.on = make("input", { type: "checkbox", role: "switch", "aria-label": `Member ${i + 1} takes part`,
        onchange: event => member(i, event.target.checked ? 100 : 0) });
      strip.slider = make("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Weight of member ${i + 1}`,
        "aria-orientation": "vertical", oninput: event => member(i, Number(event.target.value)) });
      strip.only = make("button", { type: "button", class: "gx-only", "aria-label": `Only member ${i + 1}`,
        onclick: () => setWeights(state.w.map((_, j) => (j === i ? 100 : 0))) }, "only");
      strip.box = make("div", { class: "gx-strip" }, make("label", { class: "gx-name" }, strip.light, strip.on,
        make("span", { "aria-hidden": "true" }, String(i + 1))),
        strip.slider, strip.share, strip.only);
      return strip;
    });
    for (const [name, most] of [["--gx-wide", 16], ["--gx-narrow", 8]])  // members in a row: as many in each
      ui.members.style.setProperty(name, Math.ceil(E().n / Math.ceil(E().n / most)));
    ui.members.replaceChildren(...ui.strips.map(strip => strip.box));
    ui.thumbs.replaceChildren();
    const [what, one] = ofClasses() ? ["classes", "class"] : ["images", "image"];
    set(ui.deskKey, `Every member was trained on its own part of the data. A switch drops a member, a slider weighs it, “only” leaves all others out. Ringed: the members that saw the ablated ${one}.${
      E().shape[0] > 1 ? " The tiles of change and error show brightness, the mean of the three colours." : ""}`);
    set(ui.generalText, `hide the generally influential (${many(E().general.size)} in the top ${E().top} of two or more samples)`);
    set(ui.cardsTitle, ofClasses() ? "All classes, one at a time" : "Predicted beside true");
    set(ui.cardsKey, `For these ${what} the sample was drawn again without them. In each: the ${one}${ofClasses() ? " (the mean of its images)" : ""}, the predicted picture, the true one; below, the predicted change → the true one.`);
    drawSample();
  }

  /* ---- what belongs to a sample: its scores, its lists */

  function drawSample() {
    [...ui.gallery.children].forEach((option, s) => option.setAttribute("aria-selected", String(s === state.s)));
    focusOne(ui.gallery, ui.gallery.children[state.s]);
    paint(ui.sample, counterfactual(E(), state.s, uniform(E().n)), shade);
    set(ui.sampleNote, readSure(state.s));
    set(ui.storedText, `only the ${E().truth.rows[state.s].length} drawn again for this sample`);
    const { scores } = influence(E(), state.s), alone = E().truth.alone;
    ui.cards.replaceChildren(...E().truth.rows[state.s].map((x, k) => {
      const images = [picture(""), picture(""), picture("")];
      paintThumb(images[0], x);
      paint(images[1], counterfactual(E(), state.s, ablated(E(), x)), shade);
      paint(images[2], trueImage(E(), state.s, alone + k), shade);
      const moved = E().truth.moved[state.s][alone + k];
      return make("div", { class: "gx-card", role: "option", tabindex: k ? -1 : 0, "data-x": x,
        onclick: () => toggleItem(x), onkeydown: press,
        "aria-label": `Without ${itemName(x)}${unkept(x)}: predicted change ${number(scores[x])}, true change ${number(moved)}${readAs(state.s, alone + k + 1, ", ")}` },
        make("span", { class: "gx-trio" }, ...images), make("span", { class: "gx-numbers" },
          `${number(scores[x])} → ${number(moved)}`,
          make("small", {}, readAs(state.s, alone + k + 1))));
    }));
    drawSearch();
    draw();
  }

  function press(event) {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.currentTarget.click(); }
  }

  function drawSearch() {
    ui.filter.value = state.c;
    ui.general.checked = state.g;
    ui.stored.checked = state.t;
    if (ofClasses()) return;
    const { scores, order, rank } = influence(E(), state.s), stored = new Set(E().truth.rows[state.s]), rows = [];
    let found = 0;
    for (const x of order) {
      const other = state.c !== "" && E().labels[x] !== Number(state.c);
      if (other || (state.g && E().general.has(x)) || (state.t && !stored.has(x))) continue;
      if (found++ < state.shown) rows.push(x);
    }
    while (ui.thumbs.children.length < rows.length) {
      ui.thumbs.append(make("div", { class: "gx-thumb", role: "option", tabindex: -1, onkeydown: press,
        onclick: event => toggleItem(Number(event.currentTarget.dataset.x)) }, picture(""), make("span",
          { class: "gx-score" })));
    }
    [...ui.thumbs.children].forEach((thumb, k) => {
      thumb.hidden = k >= rows.length;
      if (thumb.hidden) return;
      const x = rows[k], twin = E().twins[x];
      if (thumb.dataset.x !== String(x)) paintThumb(thumb.firstChild, x);
      thumb.dataset.x = x;
      thumb.classList.toggle("gx-has-truth", stored.has(x));
      set(thumb.lastChild, (twin >= 0 ? "= " : "") + number(scores[x]));
      thumb.setAttribute("aria-label", `Rank ${many(rank[x])}: ${itemName(x)}, influence ${number(scores[x])}` +
        (twin >= 0 ? `, ties with its twin, image ${many(twin)}` : "") + (stored.has(x) ? ", drawn again in truth" : "") + unkept(x));
    });
    if (rows.length) focusOne(ui.thumbs, ui.thumbs.querySelector("[tabindex='0']:not([hidden])") ?? ui.thumbs.firstChild);
    set(ui.found, `${many(found)} of ${many(E().N)} images, most influential first; the number is the predicted change. A click unlearns the image. “=”: its twin, of the complementary code, has the same score. Blue dot: drawn again in truth.${E().kept ? " Empty frame: its picture is not kept." : ""}${chanceWords()}`);
    ui.more.hidden = rows.length >= found;
    set(ui.more, `Show ${Math.min(PAGE, found - rows.length)} more`);
    markItems();
  }

  function chanceWords() {
    const found = chance(E(), state.s);
    if (!found) return "";
    const full = E().N > 0.05 * found.codes && !found.out;
    return ` Were the codes dealt anew, chance would give such scores: ${found.out ? many(found.out) : "none"} of them ` +
      `${full ? "can stand" : found.out === 1 ? "stands" : "stand"} out` +
      (full ? `, while ${many(E().N)} of ${many(found.codes)} codes are in use.` : " (false discovery rate 5\u00a0%).");
  }

  function markItems() {
    const twin = state.x >= 0 ? E().twins[state.x] : -1;
    for (const list of [ui.thumbs, ui.cards]) for (const option of list.children) {
      const x = Number(option.dataset.x);
      option.setAttribute("aria-selected", String(x === state.x));
      option.classList.toggle("gx-twin", x === twin);
    }
  }

  /* ---- what belongs to a mixture */

  function draw() {
    const v = mixture(), s = state.s, whole = same(v, uniform(E().n)), moved = change(E(), s, v);
    const linear = counterfactual(E(), s, v), y = counterfactual(E(), s, uniform(E().n));
    paint(ui.approximate, linear, shade);
    paint(ui.change, linear.map((value, p) => value - y[p]), signed);
    set(ui.approximateNote, whole ? "nobody left out" : `predicted change ${number(moved)}`);
    const shown = Math.sqrt(linear.reduce((sum, value, p) => sum + (value - y[p]) ** 2, 0));
    set(ui.changeNote, `predicted − sample, as clamped: ${number(shown)}`);
    drawTruth(v, linear, y, whole);
    ui.strips.forEach((strip, i) => {
      const holds = state.x >= 0 && E().codes[state.x * E().n + i] === 1;
      strip.on.checked = v[i] > 0;
      strip.slider.value = state.x >= 0 ? (v[i] > 0 ? 100 : 0) : state.w[i];
      strip.slider.setAttribute("aria-valuetext", `${percent(v[i])} of the mixture`);
      set(strip.share, percent(v[i]));
      strip.box.classList.toggle("gx-off", v[i] === 0);
      strip.box.classList.toggle("gx-holds", holds);
    });
    ui.reset.setAttribute("aria-disabled", String(whole));
    markItems();
    drawStatus(v, whole, moved);
    drawHistogram(whole ? null : moved);
    drawScatter(v, moved);
  }

  function drawTruth(v, linear, y, whole) {
    const k = whole ? -1 : regenerated(E(), state.s, v), known = whole || k >= 0;
    const tiles = ui.stage.querySelectorAll(".gx-tile-true, .gx-tile-error");
    tiles.forEach(tile => tile.classList.toggle("gx-empty", !known));
    if (!known) {
      for (const canvas of [ui.true, ui.error]) canvas.getContext("2d").clearRect(0, 0, W(), H());
      set(ui.trueNote, "not stored for this mixture");
      set(ui.errorNote, "–");
      return;
    }
    const image = whole ? y : trueImage(E(), state.s, k);
    paint(ui.true, image, shade);
    paint(ui.error, linear.map((value, p) => value - image[p]), signed);
    if (whole) { set(ui.trueNote, "the sample itself"); set(ui.errorNote, "none at u₀"); return; }
    set(ui.trueNote, `true change ${number(E().truth.moved[state.s][k])}${readAs(state.s, k + 1, ", ")}`);
    set(ui.errorNote, `predicted − true: ${number(E().truth.missed[state.s][k])}`);
  }

  function drawStatus(v, whole, moved) {
    const off = [...v.keys()].filter(i => v[i] === 0).map(i => i + 1);
    let text = note;
    note = "";
    if (whole) text += "The whole ensemble: every member counts the same.";
    else if (state.x >= 0) {
      const { rank } = influence(E(), state.s), twin = E().twins[state.x], by = chance(E(), state.s);
      const name = itemName(state.x);
      text += `${name[0].toUpperCase()}${name.slice(1)}, unlearned. Influence ${number(moved)}, rank ${many(rank[state.x])} of ${many(E().N)}` +
        (by ? `, p\u00a0=\u00a0${small(by.p[state.x])} among all codes` : "") + (twin >= 0 ? `, tied with its twin, image ${many(twin)}` : "") + ". ";
    } else text += `A mixture of your own: predicted change ${number(moved)}. `;
    if (off.length) text += `Off: ${off.length > E().n / 2 + 1 ? `all but ${[...v.keys()].filter(i => v[i] > 0).map(i => i + 1).join(", ")}` : off.join(", ")}.`;
    set(ui.status, text);
  }

  /* ------------------------------------------------------------------ two plots */

  function axes(canvas, height, ends, labels, log = false) {  // a pen, and functions from data to pixels
    const ratio = Math.min(3, window.devicePixelRatio || 1), width = canvas.clientWidth || 320;
    const wide = Math.round(width * ratio);
    if (canvas.width !== wide) Object.assign(canvas, { width: wide, height: Math.round(height * ratio) });
    canvas.style.height = `${height}px`;
    const left = ends.y[1] < 10000 ? 46 : 62;  // room for five digits
    const pen = canvas.getContext("2d"), box = { left, right: width - 8, top: 8, bottom: height - 38 };
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `12px ${getComputedStyle(root).fontFamily}`;
    const share = (value, [low, high]) => log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    const X = value => box.left + (box.right - box.left) * share(value, ends.x);
    const Y = value => box.bottom - (box.bottom - box.top) * share(value, ends.y);
    const marks = log ? decades : ticks;
    const frame = (upright = true) => {
      pen.strokeStyle = tones.muted.text; pen.fillStyle = tones.muted.text; pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(box.left, box.top);
      pen.lineTo(box.left, box.bottom);
      pen.lineTo(box.right, box.bottom);
      pen.stroke();
      pen.textAlign = "center"; pen.textBaseline = "top";
      for (const tick of marks(ends.x, 6)) {
        pen.fillRect(X(tick), box.bottom, 1, 4);
        pen.fillText(String(tick), X(tick), box.bottom + 6);
      }
      pen.fillText(labels[0], (box.left + box.right) / 2, box.bottom + 22);
      if (!upright) return;
      pen.textAlign = "right"; pen.textBaseline = "middle";
      for (const tick of marks(ends.y, 4)) {
        pen.fillRect(box.left - 4, Y(tick), 4, 1);
        pen.fillText(String(tick), box.left - 7, Y(tick));
      }
      pen.save(); pen.translate(9, (box.top + box.bottom) / 2); pen.rotate(-Math.PI / 2); pen.textAlign = "center";
      pen.fillText(labels[1], 0, 0); pen.restore();
    };
    return { pen, X, Y, box, frame };
  }

  function ticks([low, high], about) {
    const rough = (high - low) / about, ten = 10 ** Math.floor(Math.log10(rough));
    const step = ten * [1, 2, 5, 10].find(m => m * ten >= rough), found = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9; k++) found.push(Number((k * step).toPrecision(6)));
    return found;
  }

  function decades([low, high]) {
    const found = [], leading = high / low > 1000 ? [1] : [1, 3];
    for (let ten = 10 ** Math.floor(Math.log10(low)); ten <= high; ten *= 10) {
      for (const value of leading.map(digit => digit * ten)) {
        if (value >= low && value <= high) found.push(Number(value.toPrecision(3)));
      }
    }
    return found;
  }

  function drawHistogram(marked) {
    const e = E(), { scores, order } = influence(e, state.s), band = e.placebo && e.placebo[state.s];
    const most = Math.max(scores[order[0]], marked ?? 0, band ? band[1] : 0) * 1.04 || 1;
    const few = e.N <= 12, bins = Math.max(8, Math.min(60, Math.round(Math.sqrt(e.N)))), counts = new Array(bins).fill(0);
    for (const score of scores) counts[Math.min(bins - 1, Math.floor(score / most * bins))]++;
    const ends = { x: [0, most], y: [0, few ? e.N : Math.max(...counts) * 1.1] };
    const names = ["predicted change ‖J(v − u₀)‖", "images"];
    const { pen, X, Y, box, frame } = axes(ui.histogram, 190, ends, names);
    if (band) {
      pen.fillStyle = tones.band.text;
      pen.fillRect(X(band[0]), box.top, X(band[1]) - X(band[0]), box.bottom - box.top);
    }
    pen.fillStyle = tones.stays.text;
    if (!few) counts.forEach((count, b) => {
      const left = X(b * most / bins), right = X((b + 1) * most / bins);
      pen.fillRect(left + 0.5, Y(count), right - left - 1, box.bottom - Y(count));
    });
    if (marked !== null) {
      pen.fillStyle = tones.goes.text;
      pen.fillRect(X(marked) - 1, box.top, 2.5, box.bottom - box.top);
      pen.beginPath();
      pen.moveTo(X(marked) - 5, box.top - 1);
      pen.lineTo(X(marked) + 5, box.top - 1);
      pen.lineTo(X(marked), box.top + 7);
      pen.fill();
    }
    if (few) order.forEach((x, r) => {
      const y = Y(e.N - r - 0.5);
      pen.fillStyle = x === state.x ? tones.goes.text : tones.stays.text;
      pen.fillRect(box.left, y - 5, X(scores[x]) - box.left, 10);
      pen.fillStyle = tones.ink.text;
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      pen.fillText(e.classes[e.labels[x]], X(scores[x]) + 5, y);
    });
    frame(!few);  // bars of classes carry their own names
    const above = marked === null ? 0 : scores.reduce((sum, score) => sum + (score > marked * (1 + 1e-12)), 0);
    const [all, one] = ofClasses() ? ["classes", "class"] : ["training images", "image"];
    const words = [`The scores of all ${many(e.N)} ${all} on this sample run from ${number(scores[order[e.N - 1]])} to ` +
      `${number(scores[order[0]])}.`];
    if (band) words.push(`Grey: the middle 95\u00a0% of the codes that no ${one} holds, ${number(band[0])} to ` +
      `${number(band[1])}: what leaving members out does by itself.`);
    if (marked !== null) words.push(`Marked: ${number(marked)}; ${above ? many(above) : "none"} of them ` +
      `${above === 1 ? "lies" : "lie"} higher.`);
    set(ui.histogramKey, words.join(" "));
    ui.histogram.setAttribute("aria-label", `${few ? "Bars" : "Histogram"}. ${words.join(" ")}`);
  }

  function stored(e) {  // predicted and true length of every regenerated ablation, and its sample; kept
    return e.points ??= e.truth.rows.flatMap((rows, s) =>
      rows.map((x, k) => [change(e, s, ablated(e, x)), e.truth.moved[s][e.truth.alone + k], s]));
  }

  function drawScatter(v, moved) {
    const e = E(), k = regenerated(e, state.s, v), here = k >= 0 ? [moved, e.truth.moved[state.s][k]] : null;
    const positive = p => p !== null && p[0] > 0 && p[1] > 0, points = stored(e).filter(positive);
    const seen = [...points, ...(positive(here) ? [here] : [])].flatMap(p => [p[0], p[1]]);
    const least = Math.min(...seen) / 1.25, most = Math.max(...seen) * 1.25, ends = { x: [least, most], y: [least, most] };
    const { pen, X, Y, frame } = axes(ui.scatter, 190, ends, ["predicted change", "true change"], true);
    const ring = (p, radius) => {
      pen.beginPath();
      pen.arc(X(p[0]), Y(p[1]), radius, 0, 7);
    };
    pen.strokeStyle = tones.muted.text;
    pen.setLineDash([4, 4]);
    pen.beginPath();
    pen.moveTo(X(least), Y(least));
    pen.lineTo(X(most), Y(most));
    pen.stroke();
    pen.setLineDash([]);
    for (const mine of [false, true]) {
      pen.fillStyle = mine ? tones.stays.text : tones.muted.text;
      pen.globalAlpha = mine ? 1 : 0.45;
      for (const p of points) if ((p[2] === state.s) === mine) { ring(p, mine ? 3.5 : 2); pen.fill(); }
    }
    if (positive(here)) {
      pen.strokeStyle = tones.goes.text;
      pen.lineWidth = 2.5;
      ring(here, 7);
      pen.stroke();
    }
    frame();
    const missed = e.truth.missed[state.s].slice(e.truth.alone), mean = missed.reduce((a, b) => a + b, 0) / missed.length;
    const words = `Each dot is one ablation, drawn again: ${many(points.length)} in all, on logarithmic axes; blue those of ` +
      `this sample, grey those of the other ${e.B - 1}. On the dashed line the predicted length is right; even there the ` +
      `image need not be: for this sample the two images lie ${number(mean)} apart on average.`;
    set(ui.scatterKey, words);
    ui.scatter.setAttribute("aria-label", `Scatter plot of predicted against true change. ${words}`);
  }

  /* ------------------------------------------------------------------ what the reader does */

  async function load(world) {  // its ensemble, from its script
    await new Promise((resolve, reject) => document.head.append(make("script", { src: world.file, onload: resolve,
      onerror: () => reject(new Error(`${world.file} is not beside this page`)) })));
    const part = window.GENENS_WORLDS?.[world.name];
    if (!part) throw new Error(`${world.file} is damaged`);
    if (part.version !== VERSION)
      throw new Error(`${world.file} has version ${part.version}, this page reads ${VERSION}`);
    ensembles[world.name] = await opened(world.name, part);
  }

  async function show(name, settle) {  // an ensemble, as soon as it is there; `settle` sets the rest of the state
    const world = data.more.find(one => one.name === name);
    wanted = name;
    if (!ensembles[name]) {
      if (!ui.strips) drawEnsemble();  // a link to a world: digits, meanwhile
      set(ui.status, `Loading ${world.title} (${(world.bytes / 1e6).toFixed(1)}\u00a0MB) …`);
      const problem = await (world.loading ??= load(world)).catch(error => error);
      if (problem) world.loading = null;  // to be tried again
      if (wanted !== name) return;
      if (problem) {
        note = `${world.title} cannot be shown: ${problem.message}. Build the book again with make book. `;
        return drawEnsemble();  // what was there before
      }
    }
    if (String(E().classes) !== String(ensembles[name].classes)) state.c = "";
    state.e = name;
    settle();
    drawEnsemble();
  }

  function changeEnsemble(name) {
    show(name, () => {
      Object.assign(state, { s: 0, x: -1, w: new Array(E().n).fill(100), shown: PAGE });
      writeAddress();
    });
  }

  function follow() {  // the address, if it names an ensemble
    const given = new URLSearchParams(location.hash.slice(1)), name = given.get("e");
    const known = ensembles[name] || data.more.some(world => world.name === name);
    return show(known ? name : state.e, () => given.has("e") && readAddress(given));
  }

  function changeSample(s) {
    state.s = s;
    state.shown = PAGE;
    drawSample();
    writeAddress();
  }

  function toggleItem(x) {
    state.x = state.x === x ? -1 : x;
    state.w = new Array(E().n).fill(100);
    const list = [ui.thumbs, ui.cards].find(l => l.contains(document.activeElement));
    if (list) focusOne(list, document.activeElement);
    draw();
    writeAddress();
  }

  function setWeights(w) {
    if (!w.some(value => value > 0)) note = "One member has to stay. ";
    else { state.w = w; state.x = -1; }
    draw();
    writeAddress();
  }

  function member(i, weight) {
    const w = state.x >= 0 ? Array.from(mixture(), v => (v > 0 ? 100 : 0)) : [...state.w];
    w[i] = weight;
    setWeights(w);
  }

  function filter(name, value) {
    state[name] = value;
    state.shown = PAGE;
    drawSearch();
    writeAddress();
  }

  /* ------------------------------------------------------------------ start */

  function fail(text) {
    root.replaceChildren(make("p", { class: "gx-failed", role: "alert" }, text));
    root.dataset.ready = "failed";
    document.documentElement.classList.remove("gx-js");  // the static picture comes back
  }

  async function start() {
    data = window.GENENS_EXPLORER;
    if (!data) return fail("The explorer's data, explorer-data.js, is not beside this page: build the book again with make book.");
    if (data.version !== VERSION) return fail(`The explorer's data has version ${data.version}, this page reads ${VERSION}: build the book again with make book.`);
    await Promise.all(Object.entries(data.ensembles).map(async ([name, part]) => {
      ensembles[name] = await opened(name, part);
    }));
    state.w = new Array(E().n).fill(100);
    state.x = influence(E(), 0).order[0];  // something to see at once; an address says otherwise
    readTones();
    build();
    const followed = follow();
    const again = () => { readTones(); draw(); };
    new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    let width = root.clientWidth;
    const below = () => root.style.setProperty("--gx-top",
      `${document.querySelector(".bd-header-article")?.offsetHeight ?? 0}px`);
    below();
    addEventListener("resize", () => { below(); if (root.clientWidth !== width) { width = root.clientWidth; draw(); } });
    addEventListener("hashchange", () => { if (location.hash !== written) follow(); });
    window.genensExplorer = { state, ensembles, influence, chance, counterfactual, change, ablated, regenerated, trueImage };
    root.dataset.ready = "yes";
    performance.mark("genens-explorer-ready");
    await followed;
  }

  start().catch(problem => { fail(`The explorer could not start: ${problem.message}.`); throw problem; });
})();
