// The list of classes: colours, shares of the pixels, and checkboxes that show or hide them.

export class ClassList {
  // `changed` is called when the user shows or hides classes.
  constructor(list, classes, changed) {
    this.list = list;
    this.classes = classes;
    this.changed = changed;
    this.rows = classes.map((one) => this.#row(one));
    list.replaceChildren(...this.rows.map(({ row }) => row));
  }

  #row({ name, color }) {
    const row = document.createElement("li");
    const label = row.appendChild(document.createElement("label"));
    label.className = "class";
    const box = label.appendChild(document.createElement("input"));
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => this.changed());
    const swatch = label.appendChild(document.createElement("span"));
    swatch.className = "swatch";
    swatch.style.backgroundColor = `rgb(${color})`;
    const text = label.appendChild(document.createElement("span"));
    text.className = "name";
    text.textContent = name;
    const share = label.appendChild(document.createElement("span"));
    share.className = "share";
    return { row, box, share };
  }

  setAll(checked) {
    for (const { box } of this.rows) box.checked = checked;
    this.changed();
  }

  // Red, green, blue and alpha by class index; hidden classes are transparent.
  table() {
    const table = new Uint8Array(4 * 256);
    this.classes.forEach(({ color }, i) => {
      if (this.rows[i].box.checked) table.set([...color, 255], 4 * i);
    });
    return table;
  }

  // Shows the shares of the pixels in `labels`, or none for null.
  showShares(labels) {
    this.rows.forEach(({ row, share }, i) => {
      const part = labels ? labels.counts[i] / labels.ids.length : 0;
      row.classList.toggle("absent", labels !== null && part === 0);
      const digits = part < 0.1 ? 1 : 0;
      share.textContent = part === 0 ? "" : part < 0.0005 ? "< 0.1 %" : `${(100 * part).toFixed(digits)} %`;
    });
  }

  // The largest classes and their shares as text.
  describe(labels) {
    return this.classes
      .map(({ name }, i) => ({ name, part: labels.counts[i] / labels.ids.length }))
      .filter(({ part }) => part >= 0.01)
      .sort((one, other) => other.part - one.part)
      .slice(0, 4)
      .map(({ name, part }) => `${name} ${Math.round(100 * part)} %`)
      .join(", ");
  }

  // Marks the row of a class, or none for null.
  mark(id) {
    this.rows.forEach(({ row }, i) => row.classList.toggle("marked", i === id));
  }
}
