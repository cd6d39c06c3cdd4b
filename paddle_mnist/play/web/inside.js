// The panel that looks inside a net: its layers in order, and one unit of them.

import { emit, on } from "./bus.js";
import { current } from "./desk.js";
import { announce, byId, fillOptions, make } from "./dom.js";
import { explain, placeOf } from "./explain.js";
import { startInfluence } from "./influence.js";
import { t } from "./language.js";
import { makeLayer, markUnit, markWindow, paintLayer } from "./layers.js";
import { onColours } from "./maps.js";
import { defaultModel, load, trace, trained } from "./nets.js";
import { setState, state } from "./state.js";
import { shownTab } from "./tabs.js";
import { showUnit, unitName } from "./unit.js";
import { paintWeights } from "./weights.js";

const isNarrow = matchMedia("(max-width: 72rem)"); // then there is no room beside the layers
const QUIET_MS = 400; // without a change, before a screen reader hears the unit
// The net that is shown, its values for the drawing, the layers on the page, and the unit: {node, index}.
let net = null,
  shapes = {},
  tensors = null,
  layers = [],
  unit = null,
  channel = null,
  netId = null,
  timer = null,
  width = 0;
let busy = false,
  again = false;

export function startInside() {
  const select = make("select", { id: "inside-net" });
  select.addEventListener("change", () => {
    setState({ net: select.value, layer: null, unit: null });
    update();
  });
  const head = make(
    "div",
    { className: "row" },
    make("label", { for: "inside-net" }, t("net")),
    select,
    make("span", { id: "inside-note", className: "quiet", role: "status" }),
  );
  const unitCard = make("section", { id: "unit", className: "card", "aria-label": t("unitTitle") });
  const stack = make("div", { id: "layers" });
  byId("panel-inside").append(
    head,
    make("p", { className: "quiet" }, t("insideHint")),
    make(
      "div",
      { id: "inside" },
      stack,
      make(
        "div",
        { id: "side" },
        unitCard,
        make("section", { id: "influence", className: "card", "aria-label": t("influenceTitle") }),
      ),
    ),
  );
  startInfluence(byId("influence"), () => netId);
  on("models", fillSelect);
  on("models", update);
  on("digits", update);
  on("tab", update);
  on("address", () => {
    unit = null;
    update();
  });
  onColours(paint);
  isNarrow.addEventListener("change", showTheUnit);
  new ResizeObserver(() => {
    if (stack.clientWidth && stack.clientWidth !== width) [width] = [stack.clientWidth, requestAnimationFrame(paint)];
  }).observe(stack);
}

function fillSelect() {
  fillOptions(byId("inside-net"), trained(), wanted());
}

function wanted() {
  const able = trained().map(({ id }) => id);
  return [state.net, defaultModel()?.id, able[0]].find((id) => able.includes(id));
}

// Computes the shown net's values for the drawing; what comes meanwhile is done once, afterwards.
async function update() {
  if (shownTab() !== "inside") return;
  byId("layers").inert = wanted() !== netId; // a click on the net before would choose that net again
  if (busy) return void (again = true);
  busy = true;
  try {
    await compute();
    byId("inside-note").textContent = current() ? "" : t("insideBlank");
  } catch (error) {
    byId("inside-note").textContent = error.message;
  } finally {
    busy = false;
    if (again) [again] = [false, update()];
  }
}

async function compute() {
  const id = wanted();
  if (!id) throw new Error(t("noNets"));
  byId("inside-net").value = id;
  const fetched = await load(id);
  if (fetched !== net) build(id, fetched);
  ({ tensors } = await trace(id, current() ?? new Uint8Array(784)));
  if (!unit) selectFromAddress();
  byId("layers").inert = id !== wanted();
  paint();
  showTheUnit();
  emit("inside", id);
}

// The name of a tensor for people: the layer's in nets.py, or the operation's.
function labelOf(name) {
  if (name === "images") return t("images");
  const node = net.graph.nodes.find((one) => one.name === name);
  if (node.layer) return node.layer;
  if (node.operation === "reshape" && node.shape.length === 1) return "flatten";
  return node.parameters.weight?.replace(/\.weight$/, "") ?? node.operation;
}

function build(id, fetched) {
  if (id !== netId) [unit, channel] = [null, null];
  [net, netId] = [fetched, id];
  shapes = { images: net.graph.inputShape };
  for (const node of net.graph.nodes) shapes[node.name] = node.shape;
  const input = { name: "images", operation: "images", shape: net.graph.inputShape, parameters: {}, inputs: [] };
  const same =
    layers.length === net.graph.nodes.length + 1 &&
    layers.every(({ node }, i) => i === 0 || node.name === net.graph.nodes[i - 1].name);
  if (same && unit) {
    layers.forEach((layer, i) => (layer.node = i ? net.graph.nodes[i - 1] : input));
    unit.node = layers.find(({ node }) => node.name === unit.node.name).node;
    return;
  }
  tensors = null; // of the net before: nothing is painted until this one's values have come
  layers = [input, ...net.graph.nodes].map((node) => makeLayer(node, labelOf(node.name), actions));
  byId("side").prepend(byId("unit"));
  byId("layers").replaceChildren(...layers.map(({ section }) => section));
}

// What a layer asks for.
const actions = {
  choose,
  chosen: (layer) => (unit?.node === layer.node ? unit.index : null),
  valueOf: (layer, index) => tensors[layer.node.name][index],
  repaint: paint,
};

function choose(layer, index) {
  [unit, channel] = [{ node: layer.node, index }, null];
  setState({ net: netId, layer: layer.node.name, unit: index });
  paint();
  showTheUnit();
}

function selectFromAddress() {
  const found = layers.find(({ node }) => node.name === state.layer) ?? layers[1],
    index = Number(state.unit ?? -1);
  const size = found.node.shape.reduce((a, b) => a * b, 1),
    values = tensors[found.node.name];
  const strongest = values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
  unit = { node: found.node, index: Number.isInteger(index) && index >= 0 && index < size ? index : strongest };
}

function showTheUnit() {
  if (!unit || !tensors) return;
  const card = byId("unit"),
    { section } = layers.find(({ node }) => node === unit.node);
  if (!isNarrow.matches && card.parentElement !== byId("side")) byId("side").prepend(card);
  if (isNarrow.matches && section.nextElementSibling !== card) section.after(card);
  if (unit.node.name === "images") {
    const value = tensors.images[unit.index],
      title = unitName(t("images"), unit.node.shape, unit.index);
    card.replaceChildren(
      make("h2", {}, title),
      make("p", { className: "unit-value" }, make("output", {}, value.toFixed(3))),
      make("p", {}, t("imagesUnit")),
    );
    return tell(`${title}: ${value.toFixed(3)}`);
  }
  const explained = explain(net, tensors, shapes, unit.node, unit.index);
  const chooseChannel = (value) => {
    channel = value;
    showTheUnit();
    byId("unit-channel").focus();
  };
  tell(showUnit(card, explained, { graph: net.graph, shapes, labels: labelOf, channel, chooseChannel }));
}

// Tells a screen reader the unit's value, if the focus is in the layers.
function tell(text) {
  clearTimeout(timer);
  if (byId("layers").contains(document.activeElement)) timer = setTimeout(() => announce(text), QUIET_MS);
}

function paint() {
  if (!tensors || shownTab() !== "inside") return;
  const available = Math.max(byId("layers").clientWidth - 2, 100);
  for (const layer of layers) {
    paintLayer(layer, tensors[layer.node.name], available);
    layer.section.classList.toggle("chosen", unit?.node === layer.node);
    const details = layer.weights?.parentElement;
    if (details?.open) {
      const chosen = unit?.node === layer.node ? placeOf(layer.node.shape, unit.index)[0] : null;
      details.hidden = !paintWeights(layer.weights, net, shapes, layer.node, available, chosen);
    }
  }
  paintMarks();
}

// Frames the unit, and its window in the layer before.
function paintMarks() {
  if (!unit) return;
  markUnit(
    layers.find(({ node }) => node === unit.node),
    unit.index,
  );
  if (unit.node.name === "images") return;
  const { window, source } = explain(net, tensors, shapes, unit.node, unit.index);
  const before = layers.find(({ node }) => node.name === source);
  if (window && before) markWindow(before, window);
}
