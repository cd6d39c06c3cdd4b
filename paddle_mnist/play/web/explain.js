// How one unit of a layer comes to its value: pure arithmetic, for unit.js to show.

// Returns the unit at an index of a tensor as [channel, row, column], or [index] in a row of features.
export function placeOf(shape, index) {
  if (shape.length !== 3) return [index];
  const [, height, width] = shape;
  return [Math.floor(index / (height * width)), Math.floor(index / width) % height, index % width];
}

export const indexOf = (shape, [channel, row = 0, column = 0]) =>
  shape.length === 3 ? (channel * shape[1] + row) * shape[2] + column : channel;

// Explains the unit at an index of the tensor of a node. Returns {kind, value} and
//   for "sum" (convolution, linear): bias, and terms of {input, weight, product, index} (index in the source tensor); for
//     a convolution also window: {top, left, height, width}, which may reach over the border, and channels;
//   for "pool": window, inputs with their index, isMaximum, and divisor;
//   for "function": the inputs' values at this place.
// source is the name of the tensor that is looked at, and window.channel the channel in it.
export function explain(net, tensors, shapes, node, index) {
  const value = tensors[node.name][index],
    source = node.inputs[0];
  const result = { value, source, operation: node.operation, node, index, place: placeOf(node.shape, index) };
  if (node.operation === "convolution")
    return { kind: "sum", ...result, ...convolved(net, tensors, shapes, node, result.place) };
  if (node.operation === "linear" && node.shape.length === 1)
    return { kind: "sum", ...result, ...linear(net, tensors, node, index) };
  if (/^(max|average)_pool$/.test(node.operation))
    return { kind: "pool", ...result, ...pooled(tensors, shapes, node, result.place) };
  const inputs = node.inputs.map((name) => tensors[name]);
  if (!inputs.every((tensor) => tensor.length === tensors[node.name].length)) return { kind: "value", ...result };
  return { kind: "function", ...result, inputs: inputs.map((tensor) => tensor[index]) };
}

function convolved(net, tensors, shapes, node, [out, row, column]) {
  const x = tensors[node.inputs[0]],
    [, height, width] = shapes[node.inputs[0]];
  const { strides, paddings, dilations, groups } = node.attributes,
    [kernelHeight, kernelWidth] = node.kernel;
  const weight = net.parameters[node.parameters.weight],
    bias = net.parameters[node.parameters.bias];
  const channels = weight.length / node.shape[0] / (kernelHeight * kernelWidth);
  const first = Math.floor(out / (node.shape[0] / groups)) * channels;
  const top = row * strides[0] - paddings[0],
    left = column * strides[1] - paddings[2],
    terms = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let v = 0; v < kernelHeight; v++) {
      for (let u = 0; u < kernelWidth; u++) {
        const y = top + v * dilations[0],
          xx = left + u * dilations[1];
        const isInside = y >= 0 && y < height && xx >= 0 && xx < width;
        const place = ((first + channel) * height + y) * width + xx;
        const factor = weight[((out * channels + channel) * kernelHeight + v) * kernelWidth + u];
        const input = isInside ? x[place] : 0;
        terms.push({
          channel: first + channel,
          input,
          weight: factor,
          product: input * factor,
          index: isInside ? place : null,
        });
      }
    }
  }
  const window = {
    top,
    left,
    height: (kernelHeight - 1) * dilations[0] + 1,
    width: (kernelWidth - 1) * dilations[1] + 1,
  };
  return { terms, bias: bias ? bias[out] : null, window, kernel: node.kernel, channels, firstChannel: first };
}

function linear(net, tensors, node, out) {
  const x = tensors[node.inputs[0]],
    outputs = node.shape[0];
  const weight = net.parameters[node.parameters.weight],
    bias = net.parameters[node.parameters.bias];
  const terms = Array.from(x, (input, i) => {
    const factor = weight[node.attributes.transposed ? out * x.length + i : i * outputs + out];
    return { input, weight: factor, product: input * factor, index: i };
  });
  return { terms, bias: bias ? bias[out] : null };
}

function pooled(tensors, shapes, node, [channel, row, column]) {
  const x = tensors[node.inputs[0]],
    [, height, width] = shapes[node.inputs[0]];
  const { kernel, strides, paddings } = node.attributes,
    inputs = [];
  const top = row * strides[0] - paddings[0],
    left = column * strides[1] - paddings[2];
  for (let y = Math.max(top, 0); y < Math.min(top + kernel[0], height); y++) {
    for (let xx = Math.max(left, 0); xx < Math.min(left + kernel[1], width); xx++) {
      const index = (channel * height + y) * width + xx;
      inputs.push({ input: x[index], index });
    }
  }
  const window = { top, left, height: kernel[0], width: kernel[1], channel };
  return { inputs, window, kernel, isMaximum: node.operation === "max_pool" };
}

// Returns the tensor that a node's input has the values of, before it was only reshaped: a name and its shape.
export function unflattened(graph, shapes, name) {
  const node = graph.nodes.find((one) => one.name === name);
  return node?.operation === "reshape" ? unflattened(graph, shapes, node.inputs[0]) : { name, shape: shapes[name] };
}
