// A video or webcam whose frames are processed one at a time; frames that come meanwhile are skipped.

export class Stream {
  // `work` is called with each frame, an ImageBitmap, and awaited.
  constructor(video, work) {
    this.video = video;
    this.work = work;
    this.over = false;
    this.fresh = false;
    this.wake = () => {};
  }

  // Plays `source`: a file or a MediaStream.
  async start(source) {
    const { video } = this;
    if (source instanceof MediaStream) {
      video.srcObject = source;
    } else {
      this.url = URL.createObjectURL(source);
      video.src = this.url;
    }
    await new Promise((resolve, reject) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", reject, { once: true });
    });
    if (this.over) return;
    const next = (call) =>
      video.requestVideoFrameCallback ? video.requestVideoFrameCallback(call) : requestAnimationFrame(call);
    const presented = () => {
      if (this.over) return;
      this.refresh();
      next(presented);
    };
    next(presented);
    await video.play();
  }

  // Processes frames until the stream is stopped.
  async run() {
    while (!this.over) {
      if (!this.fresh) await new Promise((resolve) => (this.wake = resolve));
      if (this.over) return;
      this.fresh = false;
      const frame = await createImageBitmap(this.video).catch(() => null); // it fails while the video seeks
      if (frame) await this.work(frame);
    }
  }

  // Processes the current frame, even if it was processed before.
  refresh() {
    this.fresh = true;
    this.wake();
  }

  stop() {
    this.over = true;
    this.wake();
    this.video.pause();
    this.video.srcObject?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    this.video.load();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

// A frame as a JPEG file, shrunk to at most `maxPixels`.
export async function toJpeg(frame, maxPixels) {
  const scale = Math.min(1, Math.sqrt(maxPixels / (frame.width * frame.height)));
  const [width, height] = [frame.width, frame.height].map((side) => Math.max(1, Math.floor(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "medium";
  context.drawImage(frame, 0, 0, width, height);
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
}
