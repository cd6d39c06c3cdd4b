// The nets that answer: their list, their weights, and their answers, computed in a worker.

import { ask, decode, modelPath, postBytes } from "./api.js";
import { emit, on } from "./bus.js";
import { state } from "./state.js";

const MOST_ANSWERS = 6; // unless more are chosen
const worker = new Worker("/web/worker.js", { type: "module" });
const loaded = new Map(),
  tracing = new Map();
let number = 0,
  listing = { models: [], default: null, note: null },
  asked = false,
  again = false;

export const models = () => listing.models;
export const modelOf = (id) => listing.models.find((model) => model.id === id);
export const trained = () => listing.models.filter((model) => model.trained);
export const defaultModel = () => modelOf(listing.default) ?? trained()[0] ?? null;
// Whether a net's answers can be computed here: the bundled reader's need more than its graph.
export const isLocal = (id) => Boolean(modelOf(id)?.inside);
export const note = () => listing.note;

// The nets that answer side by side: those that the address names, else the default one and the newest others.
export function chosen() {
  const named = (state.nets ?? "").split(",").filter((id) => modelOf(id)?.trained);
  if (named.length) return named;
  const others = trained()
    .filter(({ id }) => id !== listing.default)
    .sort((a, b) => (b.started ?? 0) - (a.started ?? 0));
  return [...trained().filter(({ id }) => id === listing.default), ...others]
    .slice(0, MOST_ANSWERS)
    .map(({ id }) => id);
}

// Fetches the list of models; requests that come meanwhile are made once, afterwards.
export async function refresh() {
  if (asked) return void (again = true);
  asked = true;
  try {
    listing = await ask("/api/models");
    emit("models");
  } finally {
    asked = false;
    if (again) [again] = [false, refresh()];
  }
}

// Returns {graph, parameters, shapes of the parameters, layers} of a net, once it is ready to answer. It is fetched
// once for each state of its weights.
export function load(id) {
  const model = modelOf(id),
    have = loaded.get(id);
  if (have && have.weights === model.weights) return have.promise;
  const promise = fetchNet(model, have?.promise);
  loaded.set(id, { weights: model.weights, promise });
  promise.catch(() => loaded.delete(id));
  return promise;
}

async function fetchNet(model, before) {
  const which = `weights=${model.state === "running" ? "newest" : "best"}`;
  const [net, fetched] = await Promise.all([
    before?.catch(() => null).then((net) => net ?? fetchGraph(model.id, which)) ?? fetchGraph(model.id, which),
    ask(modelPath(model.id, `weights?${which}`)),
  ]);
  const parameters = {},
    shapes = {};
  for (const [name, array] of Object.entries(fetched.parameters)) {
    ({ shape: shapes[name], values: parameters[name] } = decode(array));
  }
  for (const node of net.graph.nodes) {
    if (node.operation === "convolution") node.kernel = shapes[node.parameters.weight].slice(2);
  }
  const { graph, pixelRange } = net;
  worker.postMessage({ kind: "load", id: model.id, net: { graph, parameters, pixelRange, answer: model.answer } });
  return { graph, parameters, shapes, pixelRange };
}

// Returns what a net computes, as net.js takes it: the server's list of layers for a blank picture, without the values.
async function fetchGraph(id, which) {
  const traced = await postBytes(modelPath(id, `layers?${which}`), new Uint8Array(784));
  const nodes = traced.layers.map(({ values, ...node }) => ({ ...node, shape: values.shape }));
  return { graph: { inputShape: traced.input.shape, nodes }, pixelRange: traced.pixel_range };
}

// Lets nets answer a picture, Uint8Array of 28 × 28. Each answer goes to show(id, answer), unless a newer picture or a
// call of cancel came before it.
export function answer(ids, pixels, show) {
  showing = show;
  worker.postMessage({ kind: "run", number: ++number, ids, pixels });
}

export const cancel = () => number++;
let showing = () => {};

// Returns {answer, tensors} of a net for a picture; tensors is missing if the net was never loaded.
export function trace(id, pixels) {
  const mine = tracing.size ? Math.max(...tracing.keys()) + 1 : 1;
  worker.postMessage({ kind: "trace", number: mine, id, pixels });
  return new Promise((resolve) => tracing.set(mine, resolve));
}

worker.addEventListener("message", ({ data }) => {
  if (data.kind === "answer" && data.number === number) showing(data.id, data.answer);
  if (data.kind === "trace") {
    tracing.get(data.number)(data);
    tracing.delete(data.number);
  }
});

on("server", ({ kind }) => kind === "models" && refresh().catch(() => {}));
