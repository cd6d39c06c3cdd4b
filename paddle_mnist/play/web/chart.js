// A line chart in SVG.

import { make, makeSvg } from "./dom.js";

const HEIGHT = 240,
  LEFT = 52,
  RIGHT = 12,
  TOP = 12,
  BOTTOM = 40,
  LEAST_WIDTH = 240; // pixels
// Colours that colour-blind readers tell apart are in the style sheet, as series-0 to series-7; dashes differ as well.
const DASHES = ["", "8 4", "2 4", "10 4 2 4", "14 4", "4 4", "1 3", "12 3 3 3"];

// Draws series of {name, points: [[x, y]], index, kind: "faint" | "line" | "marked"} into a figure with a legend.
// axes: {title, x, y, percent, top}: top, if given, is where the y axis ends at most.
export function drawChart(figure, series, { title, x: nameX, y: nameY, percent = false }) {
  const width = Math.max(LEAST_WIDTH, figure.clientWidth),
    filled = series.filter(({ points }) => points.length);
  const svg = makeSvg("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": summary(title, filled, percent),
  });
  const all = filled.flatMap(({ points }) => points),
    [low, high] = rangeOf(
      all.map(([, y]) => y),
      percent,
    );
  const last = Math.max(1, ...all.map(([x]) => x));
  const place = ([x, y]) => [
    LEFT + (x / last) * (width - LEFT - RIGHT),
    HEIGHT - BOTTOM - ((Math.min(y, high) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM),
  ];
  for (const y of ticks(low, high, 4)) {
    const [, v] = place([0, y]);
    svg.append(
      makeSvg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: v, y2: v }),
      text(LEFT - 8, v + 5, percent ? `${Number((100 * y).toFixed(1))} %` : String(Number(y.toPrecision(3))), "end"),
    );
  }
  for (const x of ticks(0, last, width / 90).filter((value) => last < 2 || Number.isInteger(value))) {
    const [u] = place([x, low]);
    svg.append(
      makeSvg("line", { class: "grid", x1: u, x2: u, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 5 }),
      text(u, HEIGHT - BOTTOM + 20, String(Number(x.toPrecision(3))), "middle"),
    );
  }
  svg.append(
    makeSvg("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
    text(width - RIGHT, HEIGHT - 4, nameX, "end"),
    text(LEFT + 6, TOP + 8, nameY, "start"),
  );
  for (const { points, index, kind } of filled) {
    const path = points
      .map(
        (point, i) =>
          `${i ? "L" : "M"}${place(point)
            .map((value) => value.toFixed(1))
            .join(" ")}`,
      )
      .join("");
    svg.append(
      makeSvg("path", {
        class: `series series-${index % 8} ${kind}`,
        d: path,
        "stroke-dasharray": kind === "faint" ? "" : DASHES[index % 8],
      }),
    );
    if (kind === "marked") for (const point of points.slice(-60)) svg.append(dot(place(point), index));
  }
  const legend = make("ul", { className: "legend" });
  for (const { name, index, kind } of filled) legend.append(make("li", {}, key(index, kind), name));
  figure.replaceChildren(make("figcaption", {}, title), svg, legend);
}

function dot([x, y], index) {
  return makeSvg("circle", { class: `dot series-${index % 8}`, cx: x.toFixed(1), cy: y.toFixed(1), r: 3.5 });
}

function key(index, kind) {
  const svg = makeSvg("svg", { viewBox: "0 0 34 10", class: "key", "aria-hidden": "true" });
  svg.append(
    makeSvg("path", {
      class: `series series-${index % 8} ${kind}`,
      d: "M1 5H33",
      "stroke-dasharray": kind === "faint" ? "" : DASHES[index % 8],
    }),
  );
  return svg;
}

const text = (x, y, value, anchor) => makeSvg("text", { x, y, "text-anchor": anchor }, value);

// The lowest losses matter: the first, high ones may leave the chart.
function rangeOf(values, percent) {
  if (!values.length) return [0, 1];
  const sorted = [...values].sort((a, b) => a - b),
    lowest = sorted[0];
  if (percent) return [Math.max(0, Math.floor(10 * lowest) / 10), 1];
  const usual = sorted[Math.floor(0.98 * (sorted.length - 1))];
  return [Math.min(0, lowest), Math.max(usual * 1.05, 1e-6)];
}

function ticks(low, high, count) {
  const rough = (high - low) / count,
    power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= rough),
    found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i++)
    found.push(Number((i * step).toPrecision(12)));
  return found;
}

function summary(title, series, percent) {
  const ends = series
    .filter(({ kind }) => kind !== "faint")
    .map(({ name, points }) => {
      const value = points[points.length - 1][1];
      return `${name}: ${percent ? `${(100 * value).toFixed(1)} %` : value.toPrecision(3)}`;
    });
  return [title, ...ends].join("; ");
}
