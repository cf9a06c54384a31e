"use strict";
// Layers, hovering and clips of an evaluation's page. Everything is in the page.
(() => {
  const outcomes = JSON.parse(document.getElementById("outcomes").textContent);
  const outcomeNamed = new Map(outcomes.map((o) => [o.name, o]));
  const tip = document.getElementById("tip");
  const state = { layer: "prediction", tipScroll: 0 };
  const viewers = [];

  const LEAST_SIDE = 640; // pixels of a canvas, so that patterns stay fine
  const FRAME_MS = 125; // of a clip that plays
  const PROBE_STEP = 0.02; // of the picture, for an arrow key

  // Where a pattern is dark, by the pixel's place on the canvas.
  const patterns = {
    solid: () => false,
    hatch: (x, y) => (x + y) % 12 < 3,
    rising: (x, y) => (x + y) % 9 < 3,
    falling: (x, y) => (x - y + 9e4) % 9 < 3,
    upright: (x) => x % 8 < 2,
    level: (x, y) => y % 8 < 2,
    crossed: (x, y) => (x + y) % 10 < 2 || (x - y + 1e5) % 10 < 2,
    dots: (x, y) => x % 7 < 3 && y % 7 < 3,
  };

  // "#rrggbb" -> a pixel, bytes R G B A from the lowest up.
  const pixelOf = (hex) => {
    const value = parseInt(hex.slice(1), 16);
    const [r, g, b] = [value >> 16, (value >> 8) & 255, value & 255];
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  };
  const darker = (pixel) =>
    ((255 << 24) | ((pixel >>> 2) & 0x3f3f3f)) >>> 0; // a quarter of each channel
  const WHITE = 0xffffffff;
  const VOID = pixelOf("#2c2e34");
  const VOID_STRIPE = pixelOf("#5c5f67");

  const paints = outcomes.map((o) => {
    if (!o.color) return null;
    const base = pixelOf(o.color);
    const dark = o.name === "ignored" ? VOID_STRIPE : darker(base);
    return { base, dark, pattern: patterns[o.pattern] };
  });

  async function decoded(url) {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  }

  // A PNG of rows of segments, R + 256 G + 65536 B.
  async function readRows(url) {
    const { data } = await decoded(url);
    const rows = new Uint32Array(data.length / 4);
    for (let k = 0; k < rows.length; k++) {
      rows[k] = data[4 * k] | (data[4 * k + 1] << 8) | (data[4 * k + 2] << 16);
    }
    return rows;
  }

  async function readCodes(url) {
    const { data } = await decoded(url);
    return Uint8Array.from({ length: data.length / 4 }, (_, k) => data[4 * k]);
  }

  class Viewer {
    constructor(figure) {
      this.figure = figure;
      this.stage = figure.querySelector(".stage");
      this.photo = figure.querySelector("img");
      this.canvas = this.stage.querySelector("canvas");
      this.width = Number(this.photo.getAttribute("width"));
      this.height = Number(this.photo.getAttribute("height"));
      this.scale = Math.ceil(LEAST_SIDE / Math.max(this.width, this.height));
      this.canvas.width = this.width * this.scale;
      this.canvas.height = this.height * this.scale;
      this.frames = JSON.parse(figure.querySelector("script").textContent);
      this.frames[0].photo = this.photo.src;
      this.ticket = 0;
      this.shown = null;
      this.probe = null;
      this.listen();
    }

    // Shows a frame, unless another was asked for in the meantime.
    async show(index) {
      const ticket = ++this.ticket;
      const frame = this.frames[index];
      const photo = new Image();
      photo.src = frame.photo;
      const [truth, found, outcome] = await Promise.all([
        readRows(frame.truth),
        readRows(frame.found),
        readCodes(frame.outcome),
        photo.decode(),
      ]);
      if (ticket !== this.ticket) return;
      this.photo.src = frame.photo;
      this.shown = { frame, truth, found, outcome };
      this.paint();
      this.figure.dataset.frame = index;
      if (this.output) this.output.value = `frame ${frame.number}`;
    }

    paint() {
      const context = this.canvas.getContext("2d");
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.stage.classList.toggle("covered", state.layer !== "image");
      if (this.shown && state.layer !== "image") {
        const image = context.createImageData(this.canvas.width, this.canvas.height);
        const pixels = new Uint32Array(image.data.buffer);
        if (state.layer === "errors") this.paintErrors(pixels);
        else this.paintSegments(pixels, state.layer === "truth");
        context.putImageData(image, 0, 0);
      }
      this.figure.dataset.layer = state.layer;
    }

    paintSegments(pixels, isTruth) {
      const { frame, truth, found } = this.shown;
      const rows = isTruth ? truth : found;
      const segments = isTruth ? frame.truthSegments : frame.foundSegments;
      const colors = [VOID, ...segments.map((s) => pixelOf(s[1]))];
      const { width } = this.canvas;
      this.eachPixel((x, y, k, right, below, at) => {
        const row = rows[k];
        if (rows[right] !== row || rows[below] !== row) pixels[at] = WHITE;
        else if (!row && patterns.hatch(x, y)) pixels[at] = VOID_STRIPE;
        else pixels[at] = colors[row];
      }, width);
    }

    paintErrors(pixels) {
      const { outcome } = this.shown;
      this.eachPixel((x, y, k, right, below, at) => {
        const paint = paints[outcome[k]];
        if (paint) pixels[at] = paint.pattern(x, y) ? paint.dark : paint.base;
      }, this.canvas.width);
    }

    // Calls f with a pixel of the canvas, its place in the map, and the neighbours'.
    eachPixel(f, width) {
      const { scale } = this;
      const last = [this.canvas.width - 1, this.canvas.height - 1];
      const column = (x) => Math.floor(x / scale);
      for (let y = 0; y <= last[1]; y++) {
        const line = Math.floor(y / scale) * this.width;
        const next = Math.floor(Math.min(y + 1, last[1]) / scale) * this.width;
        for (let x = 0; x <= last[0]; x++) {
          const right = line + column(Math.min(x + 1, last[0]));
          f(x, y, line + column(x), right, next + column(x), y * width + x);
        }
      }
    }

    // What lies at a place, both coordinates in [0, 1): names and values of lines.
    describe(x, y) {
      if (!this.shown) return [];
      const { frame, truth, found, outcome } = this.shown;
      const k =
        Math.floor(y * this.height) * this.width + Math.floor(x * this.width);
      return [
        ["truth", ...said(frame.truthSegments, truth[k], "false negative")],
        ["prediction", ...said(frame.foundSegments, found[k], "false positive")],
        ["this pixel", outcomes[outcome[k]].title, "", outcomes[outcome[k]].color],
      ];
    }

    listen() {
      const { stage } = this;
      const point = (event) => {
        const box = stage.getBoundingClientRect();
        const x = (event.clientX - box.left) / box.width;
        const y = (event.clientY - box.top) / box.height;
        this.hideProbe();
        if (x < 0 || y < 0 || x >= 1 || y >= 1) hideTip();
        else showTip(this.describe(x, y), event.clientX, event.clientY);
      };
      stage.addEventListener("pointermove", point);
      stage.addEventListener("pointerdown", point);
      stage.addEventListener("pointerleave", (event) => {
        if (event.pointerType !== "touch") hideTip();
      });
      stage.addEventListener("keydown", (event) => this.moveProbe(event));
      stage.addEventListener("blur", () => {
        this.hideProbe();
        hideTip();
      });
      const enlarge = this.figure.querySelector(".enlarge");
      enlarge.addEventListener("click", () => {
        const large = this.figure.classList.toggle("large");
        enlarge.setAttribute("aria-pressed", large);
        enlarge.textContent = large ? "Reduce" : "Enlarge";
      });
      this.scrubber = this.figure.querySelector(".scrubber");
      if (this.scrubber) this.listenToPlayer();
    }

    listenToPlayer() {
      this.output = this.figure.querySelector("output");
      const button = this.figure.querySelector(".play");
      let playing = false;
      const setPlaying = (on) => {
        playing = on;
        button.textContent = on ? "Pause" : "Play";
      };
      this.scrubber.addEventListener("input", () => {
        setPlaying(false);
        this.show(Number(this.scrubber.value));
      });
      button.addEventListener("click", async () => {
        setPlaying(!playing);
        while (playing) {
          const next = (Number(this.scrubber.value) + 1) % this.frames.length;
          const due = new Promise((done) => setTimeout(done, FRAME_MS));
          this.scrubber.value = next;
          await this.show(next);
          await due;
        }
      });
    }

    moveProbe(event) {
      const moves = {
        ArrowLeft: [-1, 0],
        ArrowRight: [1, 0],
        ArrowUp: [0, -1],
        ArrowDown: [0, 1],
      };
      if (event.key === "Escape") {
        this.hideProbe();
        hideTip();
      }
      const move = moves[event.key];
      if (!move) return;
      event.preventDefault();
      if (!this.probe) {
        this.probe = { x: 0.5, y: 0.5, mark: document.createElement("div") };
        this.probe.mark.className = "probe";
        this.stage.append(this.probe.mark);
      } else {
        const inside = (v) => Math.min(Math.max(v, 0), 0.999);
        this.probe.x = inside(this.probe.x + move[0] * PROBE_STEP);
        this.probe.y = inside(this.probe.y + move[1] * PROBE_STEP);
      }
      const { x, y, mark } = this.probe;
      mark.style.left = `${100 * x}%`;
      mark.style.top = `${100 * y}%`;
      const box = this.stage.getBoundingClientRect();
      const place = [box.left + x * box.width, box.top + y * box.height];
      showTip(this.describe(x, y), ...place);
    }

    hideProbe() {
      if (this.probe) this.probe.mark.remove();
      this.probe = null;
    }
  }

  // Name, what became of it, and colour of the segment in a row.
  function said(segments, row, wrong) {
    if (!row) return ["void", "", ""];
    const [name, color, outcome, iou] = segments[row - 1];
    let words = `${wrong}: ${outcomeNamed.get(outcome).title}`;
    if (outcome === "ignored") words = "does not count";
    if (outcome === "correct") {
      words = `true positive, IoU ${Math.round(100 * iou)} %`;
    }
    return [name, words, color];
  }

  function showTip(lines, x, y) {
    tip.replaceChildren(
      ...lines.map(([label, name, words, color]) => {
        const line = document.createElement("div");
        const key = document.createElement("span");
        const value = document.createElement("span");
        const bold = document.createElement("b");
        key.textContent = label;
        bold.textContent = name;
        if (color) {
          const dot = document.createElement("i");
          dot.style.background = color;
          value.append(dot);
        }
        value.append(bold, words ? ` ${words}` : "");
        line.append(key, value);
        return line;
      }),
    );
    tip.hidden = !lines.length;
    state.tipScroll = window.scrollY;
    const box = tip.getBoundingClientRect();
    const left = Math.min(x + 14, document.documentElement.clientWidth - box.width - 6);
    const below = y + 18 + box.height < window.innerHeight;
    tip.style.left = `${Math.max(6, left)}px`;
    tip.style.top = `${below ? y + 18 : Math.max(6, y - box.height - 14)}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  function paintSwatch(canvas) {
    const paint = paints[outcomes.indexOf(outcomeNamed.get(canvas.dataset.outcome))];
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.forEach((_, k) => {
      const [x, y] = [k % canvas.width, Math.floor(k / canvas.width)];
      pixels[k] = paint.pattern(x, y) ? paint.dark : paint.base;
    });
    context.putImageData(image, 0, 0);
  }

  function chooseLayer(layer) {
    state.layer = layer;
    viewers.forEach((viewer) => viewer.paint());
  }

  document.documentElement.classList.add("with-script");
  document.querySelectorAll("canvas.swatch").forEach(paintSwatch);
  document.querySelectorAll(".viewer").forEach((f) => viewers.push(new Viewer(f)));
  const radios = [...document.querySelectorAll("input[name=layer]")];
  radios.forEach((radio) => {
    radio.addEventListener("change", () => chooseLayer(radio.value));
    if (radio.checked) state.layer = radio.value; // as a reload has left it
  });
  document.addEventListener("keydown", (event) => {
    const radio = radios[Number(event.key) - 1];
    if (!radio || event.ctrlKey || event.metaKey || event.altKey) return;
    radio.checked = true;
    chooseLayer(radio.value);
  });
  // Not for a scroll that was over before the tip was shown; its event comes late.
  const onScroll = () => window.scrollY !== state.tipScroll && hideTip();
  window.addEventListener("scroll", onScroll, { passive: true });
  const opacity = document.getElementById("opacity");
  const setOpacity = () => {
    viewers.forEach((v) => (v.canvas.style.opacity = opacity.value / 100));
  };
  if (opacity) {
    opacity.addEventListener("input", setOpacity);
    setOpacity();
  }
  (async () => {
    for (const viewer of viewers) {
      const index = viewer.scrubber ? Number(viewer.scrubber.value) : 0;
      await viewer.show(index);
    }
    document.documentElement.dataset.ready = "true";
  })();
})();
