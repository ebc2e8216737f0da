"use strict";
document.documentElement.classList.replace("static", "live");

// Images: a slider between two layers.

function choose(figure, side, layer) {
  const chosen = figure.chosen;
  const other = side === "left" ? "right" : "left";
  if (chosen[other] === layer) chosen[other] = chosen[side];  // they swap: two equal layers show nothing
  chosen[side] = layer;
  for (const one of figure.querySelectorAll(".layer")) {
    one.classList.toggle("left", one.dataset.layer === chosen.left);
    one.classList.toggle("right", one.dataset.layer === chosen.right);
  }
  for (const button of figure.querySelectorAll(".side button")) {
    const pressed = button.dataset.layer === chosen[button.parentElement.dataset.side];
    button.setAttribute("aria-pressed", pressed);
  }
  const slider = figure.querySelector("input[type=range]");
  if (slider) {
    const name = figure.querySelector(".name").textContent;
    slider.setAttribute("aria-label", `Compare ${chosen.left} and ${chosen.right} of ${name}`);
  }
}

const figures = [...document.querySelectorAll(".image")];
const tools = document.querySelector(".tools");
for (const figure of tools ? [tools, ...figures] : []) {
  figure.chosen = { left: "image", right: "prediction" };
  figure.addEventListener("click", (event) => {
    const button = event.target.closest(".side button");
    if (!button) return;
    for (const one of figure === tools ? [tools, ...figures] : [figure]) {
      choose(one, button.parentElement.dataset.side, button.dataset.layer);
    }
  });
}
for (const figure of figures) {
  const stage = figure.querySelector(".stage");
  const slider = stage.querySelector("input");
  const wipe = () => {
    stage.style.setProperty("--cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} %`);
  };
  slider.addEventListener("input", wipe);
  wipe();  // after "back", browsers restore the value
}

// Confusion matrix: reads out a cell.

const matrix = document.querySelector(".matrix");
const rows = [...matrix.querySelectorAll("tbody tr")];
const names = [...matrix.querySelectorAll("thead span")].map((span) => span.textContent);
const readout = document.querySelector(".readout");
let place = null;  // [row, column]

function pixels(cell) {
  return Number(cell.dataset.n || 0);
}

function describe(row, column) {
  const cells = [...rows[row].querySelectorAll("td")];
  const total = cells.reduce((sum, cell) => sum + pixels(cell), 0);
  const count = pixels(cells[column]);
  if (!total) return `${names[row]}: no pixels`;
  const share = ((100 * count) / total).toPrecision(3);
  const what = `${names[row]} predicted ${row === column ? "correctly" : `as ${names[column]}`}`;
  return `${what}: ${count ? share : 0} % of its pixels (${count.toLocaleString("en")})`;
}

function point(row, column, reveal) {
  matrix.querySelector(".at")?.classList.remove("at");
  const cell = rows[row].querySelectorAll("td")[column];
  cell.classList.add("at");
  if (reveal) cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  readout.textContent = describe(row, column);
  place = [row, column];
}

for (const kind of ["mouseover", "click"]) {
  matrix.addEventListener(kind, (event) => {
    const cell = event.target.closest("td");
    if (cell) point(cell.parentElement.rowIndex - 1, cell.cellIndex - 1, false);
  });
}
matrix.addEventListener("keydown", (event) => {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  const step = steps[event.key];
  if (!step) return;
  event.preventDefault();
  const [row, column] = place ? [place[0] + step[0], place[1] + step[1]] : [0, 0];
  const last = names.length - 1;
  point(Math.min(Math.max(row, 0), last), Math.min(Math.max(column, 0), last), true);
});

// Class table: a heading sorts, ascending first; rows without a value stay last.

for (const button of document.querySelectorAll(".sort")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    for (const one of heading.parentElement.children) {
      if (one.hasAttribute("aria-sort")) one.setAttribute("aria-sort", "none");
    }
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const body = heading.closest("table").tBodies[0];
    const value = (row) => {
      const text = row.cells[heading.cellIndex].dataset.v;
      return text === "" ? Infinity : (rising ? 1 : -1) * Number(text);
    };
    const sorted = [...body.rows].sort((one, other) => {
      const [first, second] = [value(one), value(other)];
      return first === second ? 0 : first < second ? -1 : 1;
    });
    body.append(...sorted);
  });
}
