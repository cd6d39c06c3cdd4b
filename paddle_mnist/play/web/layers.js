// The layers of a net on the page: each a heading, a canvas with its maps or units, and the weights, if it has any.

import { make } from "./dom.js";
import { indexOf, placeOf } from "./explain.js";
import { t } from "./language.js";
import { frame, hit, largestOf, layoutOf, numberUnits, paintMaps } from "./maps.js";
import { unitName } from "./unit.js";

const MARK = "#d55e00";
const STEPS = {
  ArrowLeft: [0, 0, -1],
  ArrowRight: [0, 0, 1],
  ArrowUp: [0, -1, 0],
  ArrowDown: [0, 1, 0],
  PageUp: [-1, 0, 0],
  PageDown: [1, 0, 0],
};

// Makes a layer. choose(layer, index) is called when a unit is chosen, by a click or by a key; chosen(layer) tells the
// index of the layer's chosen unit, or null; valueOf(layer, index) a unit's value; repaint() when the weights are opened.
export function makeLayer(node, label, { choose, chosen, valueOf, repaint }) {
  const size = sizeText(node),
    description = t("layerLabel", { label, size });
  const canvas = make("canvas", { className: "pixels", tabIndex: 0, role: "application", "aria-label": description });
  const operation = [label, "images", "reshape"].includes(node.operation) ? "" : node.operation;
  const heading = make("h2", {}, label, make("span", { className: "quiet" }, ` ${operation} · ${size}`));
  const layer = {
    node,
    canvas,
    section: make("div", { className: "layer" }, heading, canvas),
    layout: null,
    weights: null,
  };
  canvas.addEventListener("click", (event) => {
    const index = indexAt(layer, event);
    if (index !== null) choose(layer, index);
  });
  canvas.addEventListener("pointermove", (event) => {
    const index = indexAt(layer, event);
    canvas.title = index === null ? "" : `${unitName(label, node.shape, index)}: ${valueOf(layer, index).toFixed(3)}`;
  });
  canvas.addEventListener("keydown", (event) => {
    const index =
      event.ctrlKey || event.altKey || event.metaKey ? null : moved(node.shape, chosen(layer) ?? 0, event.key);
    if (index === null) return;
    event.preventDefault();
    choose(layer, index);
  });
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible") && chosen(layer) === null) choose(layer, 0);
  });
  if (["convolution", "linear"].includes(node.operation)) addWeights(layer, label, repaint);
  return layer;
}

function sizeText({ shape: [count, height, width] }) {
  return height === undefined ? t("row", { count }) : t("maps", { count, height, width });
}

function addWeights(layer, label, repaint) {
  const text = t("weightsOf", { label }),
    { operation, inputs } = layer.node;
  const open = inputs[0] === "images" && operation === "convolution";
  layer.weights = make("canvas", { className: "pixels", role: "img", "aria-label": text });
  const ontoggle = () => requestAnimationFrame(repaint);
  layer.section.append(make("details", { open, ontoggle }, make("summary", {}, text), layer.weights));
}

// Returns the index of the unit under the pointer, or null.
function indexAt({ canvas, layout, node }, event) {
  const box = canvas.getBoundingClientRect(),
    scale = canvas.width / box.width;
  const place = layout && hit(layout, (event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
  return place && indexOf(node.shape, place);
}

// Returns the index of the unit to which a key leads, or null for another key.
function moved(shape, index, key) {
  if (key === "Home") return 0;
  const step = STEPS[key],
    clip = (value, size) => Math.min(Math.max(value, 0), size - 1);
  if (!step) return null;
  if (shape.length !== 3) return clip(index + step[0] + step[1] + step[2], shape[0]);
  const place = placeOf(shape, index).map((value, axis) => clip(value + step[axis], shape[axis]));
  return indexOf(shape, place);
}

// Paints the values of a layer, in a given width.
export function paintLayer(layer, values, available) {
  const { shape } = layer.node,
    [count, height = 1, width = 1] = shape,
    isMaps = shape.length === 3;
  const rowTarget = count <= 20 ? 36 : count <= 128 ? 16 : 8; // pixels of a unit
  const options = isMaps ? { target: count === 1 ? 112 : 56 } : { target: rowTarget, gap: 2 };
  layer.layout = layoutOf({ count, height, width }, available, options);
  paintMaps(layer.canvas, values, layer.layout, largestOf(values));
  if (layer.layout.scale >= 24) numberUnits(layer.canvas, layer.layout, values);
}

// Frames the unit at an index of a layer.
export function markUnit({ canvas, layout, node: { shape } }, index) {
  const [map, top = 0, left = 0] = placeOf(shape, index);
  frame(canvas, layout, { map, top, left, height: 1, width: 1 }, MARK, shape.length === 3 ? 3 : 2);
}

// Frames a window, as explain.js gives it, in one map of a layer or in all.
export function markWindow({ canvas, layout, node: { shape } }, window) {
  const maps = window.channel === undefined ? [...Array(shape[0]).keys()] : [window.channel];
  for (const map of maps) frame(canvas, layout, { map, ...window }, MARK, 1.5);
}
