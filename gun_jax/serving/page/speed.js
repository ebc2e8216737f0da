// Frames a second, and the milliseconds of each part.

const PARTS = {
  jpeg: "JPEG encoding",
  sending: "transfer and queue",
  decode: "decoding",
  label: "inference",
  encode: "PNG encoding",
  draw: "drawing",
};
const REMEMBERED = 20; // answers that the rate is computed from
const LONGEST = 3000; // milliseconds; older answers do not count
const SMOOTHING = 0.2; // the weight of a new answer in the milliseconds

export class Speed {
  constructor(panel, rate, parts) {
    this.panel = panel;
    this.rate = rate;
    this.list = parts;
    this.clear();
  }

  clear() {
    this.times = [];
    this.parts = {};
    this.panel.hidden = true;
    this.list.replaceChildren();
  }

  // Shows the milliseconds of an answer by part; for a stream also the rate.
  tell(parts, stream) {
    for (const [name, time] of Object.entries(parts)) {
      const before = stream ? (this.parts[name] ?? time) : time;
      this.parts[name] = before + SMOOTHING * (time - before);
    }
    this.panel.hidden = false;
    const now = performance.now();
    this.times = [...this.times, now].slice(-REMEMBERED).filter((time) => time > now - LONGEST);
    const seconds = (now - this.times[0]) / 1000;
    const known = stream && seconds > 0;
    this.rate.textContent = known ? `${((this.times.length - 1) / seconds).toFixed(1)} frames/s` : "";
    const shown = Object.keys(PARTS).filter((name) => name in this.parts);
    const sum = shown.reduce((sum, name) => sum + this.parts[name], 0);
    const rows = [...shown.map((name) => [PARTS[name], this.parts[name]]), ["total", sum]];
    this.list.replaceChildren(...rows.map(([name, time]) => row(name, `${time.toFixed(1)} ms`)));
  }
}

function row(name, value) {
  const pair = document.createElement("div");
  pair.appendChild(document.createElement("dt")).textContent = name;
  pair.appendChild(document.createElement("dd")).textContent = value;
  return pair;
}
