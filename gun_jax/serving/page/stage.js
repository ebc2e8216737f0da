// The canvas: an image, labels over it, or offsets.
import { paintLabels } from "./labels.js";

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.view = "overlay"; // or "colors", "image", "offsets"
    this.opacity = 0.5;
    this.table = new Uint8Array(4 * 256);
    this.frame = null;
    this.labels = null;
    this.offsets = null;
    this.colored = null; // the labels in the colours of `table`
  }

  // Shows a frame, an ImageBitmap that the stage closes later, with its labels and offsets.
  show(frame, labels = null, offsets = null) {
    if (this.frame !== frame) this.frame?.close();
    this.offsets?.close();
    Object.assign(this, { frame, labels, offsets, colored: null });
    if (this.canvas.width !== frame.width) this.canvas.width = frame.width;
    if (this.canvas.height !== frame.height) this.canvas.height = frame.height;
    this.draw();
  }

  clear() {
    this.frame?.close();
    this.offsets?.close();
    Object.assign(this, { frame: null, labels: null, offsets: null, colored: null });
  }

  // Changes the view, the opacity or the colours.
  set(changes) {
    Object.assign(this, changes);
    if ("table" in changes) this.colored = null;
    this.draw();
  }

  draw() {
    const { context, frame, labels, offsets, view } = this;
    if (!frame) return;
    const { width, height } = this.canvas;
    context.globalAlpha = 1;
    context.clearRect(0, 0, width, height);
    if (view === "offsets" && offsets) {
      context.imageSmoothingEnabled = true;
      context.drawImage(offsets, 0, 0, width, height);
      return;
    }
    if (view !== "colors" || !labels) context.drawImage(frame, 0, 0);
    if (labels && (view === "overlay" || view === "colors")) {
      this.colored ??= paintLabels(labels, this.table);
      context.imageSmoothingEnabled = false;
      context.globalAlpha = view === "overlay" ? this.opacity : 1;
      context.drawImage(this.colored, 0, 0, width, height);
    }
  }

  // The class at a position in the window, or null.
  classAt(x, y) {
    const box = this.canvas.getBoundingClientRect();
    const [across, down] = [(x - box.left) / box.width, (y - box.top) / box.height];
    if (!this.labels || across < 0 || across >= 1 || down < 0 || down >= 1) return null;
    const { width, height, ids } = this.labels;
    return ids[Math.floor(down * height) * width + Math.floor(across * width)];
  }
}
