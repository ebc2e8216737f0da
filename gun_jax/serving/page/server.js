// Requests to the server; a refused one throws an Error with a message for the user.

export class Refusal extends Error {
  constructor(sentence, busy = false) {
    super(sentence);
    this.busy = busy;
  }
}

// The body of a response, read by `read`, and its headers.
async function ask(path, read, options) {
  try {
    const response = await fetch(path, options);
    if (response.ok) return [await read(response), response.headers];
    const answer = await response.json().catch(() => ({ error: `the server responds with status ${response.status}` }));
    throw new Refusal(`${answer.error[0].toUpperCase()}${answer.error.slice(1)}.`, response.status === 503);
  } catch (error) {
    if (error instanceof Refusal || error.name === "AbortError") throw error;
    throw new Refusal("The server does not respond. Is serve.py still running?");
  }
}

// The name of the network, its classes and colours, the engine, and the limits.
export async function network() {
  return (await ask("api/network", (response) => response.json()))[0];
}

// A drawn scene as a PNG file.
export async function example(number, signal) {
  return (await ask(`api/example?number=${number}`, (response) => response.blob(), { signal }))[0];
}

// The labels of an image file, and on request its offsets, as PNG files; and the milliseconds of each part.
export async function label(file, withOffsets, signal) {
  const begin = performance.now();
  const [path, read] = withOffsets
    ? ["api/explain", (response) => response.formData()]
    : ["api/label", (response) => response.blob()];
  const [body, headers] = await ask(path, read, { method: "POST", body: file, signal });
  const answer = withOffsets
    ? { labels: body.get("labels"), offsets: body.get("offsets"), fullColor: Number(headers.get("Offsets-Full-Color")) }
    : { labels: body, offsets: null, fullColor: null };
  const parts = {};
  for (const [, name, time] of (headers.get("Server-Timing") ?? "").matchAll(/(\w+);dur=([\d.]+)/g)) {
    parts[name] = Number(time);
  }
  const atServer = Object.values(parts).reduce((sum, time) => sum + time, 0);
  return { ...answer, parts: { sending: performance.now() - begin - atServer, ...parts } };
}
