// Labels: the class index of each pixel.

// Reads labels from a PNG file: {width, height, ids: Uint8Array, counts: pixels by id}.
export async function readLabels(file) {
  // The numbers are indices, so colour management must not change them.
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const pixels = context.getImageData(0, 0, width, height).data;
  const ids = new Uint8Array(width * height);
  const counts = new Uint32Array(256);
  for (let i = 0; i < ids.length; i++) {
    ids[i] = pixels[4 * i];
    counts[ids[i]]++;
  }
  return { width, height, ids, counts };
}

// Draws labels in colours on a new canvas; `table` has four bytes for each id: red, green, blue, alpha.
export function paintLabels(labels, table) {
  const canvas = new OffscreenCanvas(labels.width, labels.height);
  const image = new ImageData(labels.width, labels.height);
  const pixels = new Uint32Array(image.data.buffer);
  const colors = new Uint32Array(table.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[labels.ids[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
