// Pictures of the weights of a layer.

import { unflattened } from "./explain.js";
import { frame, layoutOf, paintMaps } from "./maps.js";

const MOST_UNITS = 64; // of a linear layer

// Paints the kernels of a convolution, a row for each map it computes if there are several inputs; or for a linear
// layer, the weights of each unit, laid out as the tensor before it. Returns whether the node has weights to show.
export function paintWeights(canvas, net, shapes, node, available, chosen = null) {
  const weight = net.parameters[node.parameters.weight];
  if (!weight) return false;
  const painted =
    node.operation === "convolution" ? kernels(weight, node, available) : units(weight, net, shapes, node, available);
  if (!painted) return false;
  paintMaps(canvas, painted.values, painted.layout);
  if (chosen !== null) {
    const { height, width } = painted.layout;
    for (let i = 0; i < painted.each; i++) {
      frame(canvas, painted.layout, { map: chosen * painted.each + i, top: 0, left: 0, height, width }, "#d55e00", 2);
    }
  }
  return true;
}

function kernels(values, { shape, kernel: [height, width] }, available) {
  const count = values.length / (height * width),
    each = count / shape[0];
  const target =
    each > 1 ? Math.min(4 * Math.max(height, width), Math.max(Math.floor(available / each) - 2, height)) : 50;
  return {
    values,
    each,
    layout: layoutOf({ count, height, width }, available, each > 1 ? { columns: each, gap: 2, target } : { target }),
  };
}

function units(weight, net, shapes, node, available) {
  if (node.operation !== "linear") return null;
  const { shape } = unflattened(net.graph, shapes, node.inputs[0]),
    outputs = Math.min(node.shape[0], MOST_UNITS);
  const [each, height, width] = shape.length === 3 ? shape : [1, 1, shape[0]],
    inputs = each * height * width;
  const values = new Float32Array(outputs * inputs);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      values[o * inputs + i] = weight[node.attributes.transposed ? o * inputs + i : i * node.shape[0] + o];
    }
  }
  const options =
    each > 1 ? { columns: each, gap: 2, target: Math.max(7, Math.min(40, Math.floor(available / each) - 2)) } : {};
  if (height === 1) Object.assign(options, { columns: 1, gap: 2, target: Math.min(available, width * 24) });
  return { values, each, layout: layoutOf({ count: outputs * each, height, width }, available, options) };
}
