// The page's controls.
import { ClassList } from "./classes.js";
import { readLabels } from "./labels.js";
import * as server from "./server.js";
import { Speed } from "./speed.js";
import { Stage } from "./stage.js";
import { Stream, toJpeg } from "./stream.js";

const element = (id) => document.getElementById(id);
const VIDEO_ENDING = /\.(mp4|m4v|mov|webm|mkv|avi|ogv|mpe?g)$/i;
const PATIENCE = 800; // milliseconds until the page says why the labels take longer
const PAUSE = 300; // milliseconds until a busy server is asked again

const stage = new Stage(element("canvas"));
const speed = new Speed(element("speed"), element("rate"), element("parts"));
const video = element("video");
let network; // name, classes and limits, from the server
let classes; // the list on the page
let turn = null; // the open image, video or webcam
let examples = 0;

function tell(sentence, error = false) {
  element("message").textContent = sentence;
  element("message").classList.toggle("error", error);
}

// Opens an image, a video or the webcam; late answers for the one before are ignored.
function begin(name, note = "") {
  end();
  turn = { name, note, file: null, stream: null, shown: false, answered: new Set(), asked: new AbortController() };
  tell(note);
  speed.clear();
  classes.showShares(null);
  return turn;
}

function end() {
  turn?.asked.abort();
  turn?.stream?.stop();
  element("playback").hidden = true;
}

// Does some work for a turn, and shows its errors.
async function attempt(mine, work) {
  try {
    await work();
  } catch (error) {
    if (mine !== turn || error.name === "AbortError") return;
    const refused = error instanceof server.Refusal;
    tell(refused ? error.message : `Error in this page: ${error.message}`, true);
    if (mine.stream) end();
    if (!mine.shown) showNothing();
    if (!refused) throw error; // for the console
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE));

// Requests the labels of a frame and shows them over it; `file` is the frame as an image file.
async function label(mine, frame, file, parts = {}) {
  const wanted = stage.view === "offsets" ? "offsets" : "labels";
  const first = !mine.answered.has(wanted);
  const late = setTimeout(() => {
    if (mine === turn && first) tell(`The first ${wanted} of a new image size take some seconds.`);
  }, PATIENCE);
  try {
    const answer = await server.label(file, wanted === "offsets", mine.asked.signal);
    const begin = performance.now();
    const labels = await readLabels(answer.labels);
    const offsets = answer.offsets && (await createImageBitmap(answer.offsets));
    if (mine !== turn) return offsets?.close();
    stage.show(frame, labels, offsets);
    classes.showShares(labels);
    stage.canvas.setAttribute("aria-label", `${mine.name}: ${classes.describe(labels)}`);
    if (offsets) element("full-color").textContent = `${answer.fullColor.toPrecision(2)} pixels of the logit map`;
    speed.tell({ ...parts, ...answer.parts, draw: performance.now() - begin }, mine.stream !== null);
    if (first) tell(mine.note || `${mine.name}, ${frame.width} x ${frame.height}`);
    mine.answered.add(wanted);
    mine.file = file;
  } finally {
    clearTimeout(late);
  }
}

// Repeats a request while the server is busy.
async function patiently(mine, ask) {
  const { signal } = mine.asked;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!error.busy) throw error;
      await pause();
      signal.throwIfAborted(); // by the next turn, or by another view
    }
  }
}

function showFrame(mine, frame) {
  mine.shown = true;
  element("empty").hidden = true;
  element("canvas").hidden = false;
  element("stage").style.setProperty("--ratio", frame.width / frame.height);
  element("save").disabled = element("copy").disabled = false;
  stage.show(frame);
}

function showNothing() {
  element("empty").hidden = false;
  element("canvas").hidden = true;
  element("save").disabled = element("copy").disabled = true;
  stage.clear();
}

async function openImage(mine, file) {
  if (file.size > network.most_bytes) {
    const [size, limit] = [file.size, network.most_bytes].map((bytes) => (bytes / 1e6).toFixed(1));
    throw new server.Refusal(`${mine.name} is ${size} MB; the limit is ${limit} MB.`);
  }
  let frame;
  try {
    frame = await createImageBitmap(file);
  } catch {
    throw new server.Refusal(`${mine.name} is not an image or video that this browser can open.`);
  }
  if (mine !== turn) return frame.close();
  showFrame(mine, frame);
  mine.file = file;
  await patiently(mine, () => label(mine, frame, file));
}

async function play(mine, source) {
  mine.stream = new Stream(video, async (frame) => {
    if (mine !== turn) return frame.close();
    if (!mine.answered.size) showFrame(mine, frame);
    const begin = performance.now();
    try {
      const file = await toJpeg(frame, network.frame_pixels);
      await label(mine, frame, file, { jpeg: performance.now() - begin });
    } catch (error) {
      if (!error.busy) throw error;
      await pause();
      mine.stream.refresh();
    } finally {
      if (frame !== stage.frame) frame.close();
    }
  });
  try {
    await mine.stream.start(source);
  } catch {
    if (mine !== turn) return;
    throw new server.Refusal(`This browser cannot play ${mine.name}; most browsers play MP4 (H.264) and WebM.`);
  }
  if (mine !== turn) return;
  element("playback").hidden = false;
  element("position").hidden = element("time").hidden = !Number.isFinite(video.duration);
  await mine.stream.run();
}

function openFile(file) {
  const mine = begin(file.name);
  const isVideo = file.type.startsWith("video/") || (!file.type && VIDEO_ENDING.test(file.name));
  attempt(mine, () => (isVideo ? play(mine, file) : openImage(mine, file)));
}

function openWebcam() {
  const mine = begin("the webcam", "Webcam frames are sent only to the server of this page, which does not store them.");
  attempt(mine, async () => {
    if (!navigator.mediaDevices) {
      throw new server.Refusal("Browsers allow the webcam only on localhost and on https pages.");
    }
    let camera;
    try {
      camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
    } catch (error) {
      const none = error.name === "NotFoundError";
      throw new server.Refusal(none ? "No webcam found." : `The browser denies the webcam: ${error.message}.`);
    }
    if (mine !== turn) return camera.getTracks().forEach((track) => track.stop());
    camera.getVideoTracks()[0].addEventListener("ended", () => {
      if (mine === turn) end(), tell("The webcam was disconnected.", true);
    });
    await play(mine, camera);
  });
}

function openExample() {
  const mine = begin("example", "A synthetic street scene; the network may not have been trained on such images.");
  const number = examples++;
  attempt(mine, async () => {
    await openImage(mine, await patiently(mine, () => server.example(number, mine.asked.signal)));
  });
}

// Requests the current frame again, e.g. when the user asks for its offsets.
function again() {
  if (turn?.stream && !turn.stream.over) turn.stream.refresh();
  else if (turn?.file) {
    turn.asked.abort();
    turn.asked = new AbortController();
    const mine = turn;
    attempt(mine, () => patiently(mine, () => label(mine, stage.frame, mine.file)));
  }
}

function choose(view) {
  stage.set({ view });
  element("opacity").disabled = view !== "overlay";
  element("opacity-row").hidden = view === "offsets";
  element("key").hidden = view !== "offsets";
  if (view === "offsets" && !stage.offsets) again();
}

function canvasAsPng() {
  return new Promise((resolve) => stage.canvas.toBlob(resolve, "image/png"));
}

async function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await canvasAsPng());
  link.download = `${turn.name.replace(/\.\w+$/, "").replaceAll(" ", "-")}-${stage.view}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function copy() {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": canvasAsPng() })]);
    tell("Copied to the clipboard.");
  } catch {
    tell("The browser denies the clipboard; use Save as PNG.", true);
  }
}

function pointAt(event) {
  const id = event.type === "pointerleave" ? null : stage.classAt(event.clientX, event.clientY);
  const known = id === null ? undefined : network.classes[id];
  const chip = element("chip");
  chip.hidden = !known;
  classes.mark(known ? id : null);
  if (!known) return;
  chip.querySelector(".swatch").style.backgroundColor = `rgb(${known.color})`;
  chip.querySelector(".name").textContent = known.name;
  const box = element("stage").getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  chip.style.left = `${Math.max(0, Math.min(x + 12, box.width - chip.offsetWidth - 4))}px`;
  chip.style.top = `${y + 12 + chip.offsetHeight > box.height ? y - 12 - chip.offsetHeight : y + 12}px`;
}

function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

function listen() {
  element("open").addEventListener("click", () => element("file").click());
  element("file").addEventListener("change", ({ target }) => {
    if (target.files.length) openFile(target.files[0]);
    target.value = ""; // the same file may be opened again
  });
  element("webcam").addEventListener("click", openWebcam);
  element("example").addEventListener("click", openExample);
  element("save").addEventListener("click", save);
  element("copy").addEventListener("click", copy);
  element("all").addEventListener("click", () => classes.setAll(true));
  element("none").addEventListener("click", () => classes.setAll(false));
  element("views").addEventListener("change", ({ target }) => target.name === "view" && choose(target.value));
  element("opacity").addEventListener("input", ({ target }) => {
    stage.set({ opacity: target.value / 100 });
    element("opacity-value").textContent = `${target.value} %`;
  });
  for (const type of ["pointermove", "pointerdown", "pointerleave"]) stage.canvas.addEventListener(type, pointAt);

  element("pause").addEventListener("click", () => (video.paused ? video.play() : video.pause()));
  for (const type of ["play", "pause"]) {
    video.addEventListener(type, () => (element("pause").textContent = video.paused ? "Resume" : "Pause"));
  }
  element("stop").addEventListener("click", () => {
    end();
    tell("Stopped.");
  });
  element("position").addEventListener("input", ({ target }) => (video.currentTime = target.value * video.duration));
  video.addEventListener("timeupdate", () => {
    if (!Number.isFinite(video.duration)) return;
    element("position").value = video.currentTime / video.duration;
    element("time").textContent = `${minutes(video.currentTime)} / ${minutes(video.duration)}`;
  });

  const drop = (event, files) => {
    event.preventDefault();
    element("stage").classList.remove("dragged");
    if (files?.length) openFile(files[0]);
  };
  addEventListener("dragover", (event) => {
    event.preventDefault();
    element("stage").classList.add("dragged");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || element("stage").classList.remove("dragged"));
  addEventListener("drop", (event) => drop(event, event.dataTransfer.files));
  addEventListener("paste", (event) => event.clipboardData.files.length && drop(event, event.clipboardData.files));
}

try {
  network = await server.network();
  classes = new ClassList(element("classes"), network.classes, () => stage.set({ table: classes.table() }));
  stage.table = classes.table();
  element("network").textContent = `${network.name}, ${network.classes.length} classes, engine: ${network.engine}`;
  listen();
} catch (error) {
  if (!(error instanceof server.Refusal)) throw error;
  tell(error.message, true);
}
