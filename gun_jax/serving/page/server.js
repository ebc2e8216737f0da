// What the server is asked. What it refuses is an Error with a sentence for the user.

export class Refusal extends Error {
  constructor(sentence, busy = false) {
    super(sentence);
    this.busy = busy;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. Is serve.py still running?");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({ error: `the server answers with status ${response.status}` }));
  throw new Refusal(`${answer.error[0].toUpperCase()}${answer.error.slice(1)}.`, response.status === 503);
}

// The names and colours of the classes, the engine, the limits.
export async function network() {
  return (await ask("api/network")).json();
}

// A drawn scene: a PNG file.
export async function example(number) {
  return (await ask(`api/example?number=${number}`)).blob();
}

// The labels of a picture file, and its offsets if they are wanted, as PNG files; and the milliseconds of the parts.
export async function label(file, withOffsets, signal) {
  const begin = performance.now();
  const response = await ask(withOffsets ? "api/explain" : "api/label", { method: "POST", body: file, signal });
  const answer = { labels: null, offsets: null, fullColor: null };
  if (withOffsets) {
    const form = await response.formData();
    answer.labels = form.get("labels");
    answer.offsets = form.get("offsets");
    answer.fullColor = Number(response.headers.get("Offsets-Full-Color"));
  } else {
    answer.labels = await response.blob();
  }
  const parts = {};
  for (const [, name, time] of (response.headers.get("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g)) {
    parts[name] = Number(time);
  }
  const atServer = Object.values(parts).reduce((sum, time) => sum + time, 0);
  return { ...answer, parts: { sending: performance.now() - begin - atServer, ...parts } };
}
