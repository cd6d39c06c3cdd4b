// Runs a net, given as a graph and its weights, on one image at a time.
//
// A graph is what paddle_mnist/program/graph.py describes. Every tensor is a Float32Array, channels first; sums are taken
// in float64 and rounded when they are stored.

// Takes {graph, weights (base64, little-endian; or parameters: Float32Array by name), pixelRange, answer} and returns
//   run: from pixels (Uint8Array of 28 × 28) to {digit, outputs} and probabilities or value;
//   trace: from pixels to {answer, tensors}, with every tensor of the computation by name;
//   parameters and shapes (of all tensors) by name.
export function createNet({ graph, weights, parameters, pixelRange, answer }) {
  parameters ??= readParameters(graph.parameters, weights);
  const shapes = { images: graph.inputShape };
  for (const node of graph.nodes) shapes[node.name] = node.shape;
  const output = graph.nodes[graph.nodes.length - 1].name;

  function trace(pixels) {
    const tensors = { images: toInput(pixels, pixelRange) };
    for (const node of graph.nodes) {
      const own = {};
      for (const [role, name] of Object.entries(node.parameters)) own[role] = parameters[name];
      const inputs = node.inputs.map((name) => tensors[name]), from = node.inputs.map((name) => shapes[name]);
      tensors[node.name] = OPERATIONS[node.operation](node, inputs, from, own);
    }
    return { answer: toAnswer(tensors[output], answer), tensors };
  }

  return { run: (pixels) => trace(pixels).answer, trace, parameters, shapes };
}

// Parameters are described as [name, size], for float32, or as [name, size, rows, parts]: so many float32 scales, each for
// an equal share of the int8 values that follow. A second part of values, with steps of 1/254, is added to the first.
function readParameters(described, weights) {
  const text = atob(weights), bytes = new Uint8Array(text.length), parameters = {};
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i); // ten times as fast as Uint8Array.from
  let place = 0;
  const floats = (count) => new Float32Array(bytes.slice(place, (place += 4 * count)).buffer);
  for (const [name, size, rows, parts] of described) {
    if (rows === undefined) {
      parameters[name] = floats(size);
      continue;
    }
    const scales = floats(rows), sum = (parameters[name] = new Float32Array(size));
    for (let part = 0; part < parts; part++) {
      const values = new Int8Array(bytes.slice(place, (place += size)).buffer);
      values.forEach((value, i) => (sum[i] += (value * scales[Math.floor((i * rows) / size)]) / 254 ** part));
    }
  }
  return parameters;
}

function toInput(pixels, pixelRange) {
  const x = new Float32Array(pixels);
  if (pixelRange !== "raw") for (let i = 0; i < x.length; i++) x[i] /= 255;
  if (pixelRange === "pm1") for (let i = 0; i < x.length; i++) x[i] = x[i] * 2 - 1;
  return x;
}

function toAnswer(outputs, answer) {
  if (outputs.length === 1) {
    const [value] = outputs, below = Math.floor(value), rest = value - below; // halves are rounded to even
    const rounded = below + (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? 1 : 0);
    return { digit: Math.min(Math.max(rounded, 0), 9), value, outputs };
  }
  let digit = 0;
  for (let i = 1; i < outputs.length; i++) if (outputs[i] > outputs[digit]) digit = i;
  if (answer !== "probabilities") return { digit, value: outputs[digit], outputs };
  return { digit, probabilities: softmax(new Float64Array(outputs), [outputs.length], 0), outputs };
}

function elementwise(f) {
  return (node, [x]) => x.map((value) => f(value, node.attributes));
}

const OPERATIONS = {
  convolution,
  linear,
  max_pool: (node, inputs, from) => pool(node, inputs[0], from[0], windows(node, from[0]), true),
  average_pool: (node, inputs, from) => pool(node, inputs[0], from[0], windows(node, from[0]), false),
  adaptive_max_pool: (node, inputs, from) => pool(node, inputs[0], from[0], adaptiveWindows(node, from[0]), true),
  adaptive_average_pool: (node, inputs, from) => pool(node, inputs[0], from[0], adaptiveWindows(node, from[0]), false),
  relu: elementwise((x) => Math.max(x, 0)),
  leaky_relu: elementwise((x, { slope }) => (x < 0 ? slope * x : x)),
  sigmoid: elementwise((x) => 1 / (1 + Math.exp(-x))),
  tanh: elementwise(Math.tanh),
  gelu: elementwise((x, { approximate }) => {
    const curve = approximate ? Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)) : erf(x * Math.SQRT1_2);
    return (x / 2) * (1 + curve);
  }),
  silu: elementwise((x) => x / (1 + Math.exp(-x))),
  relu6: elementwise((x) => Math.min(Math.max(x, 0), 6)),
  hardswish: elementwise((x) => (x * Math.min(Math.max(x + 3, 0), 6)) / 6),
  elu: elementwise((x, { alpha }) => (x > 0 ? x : alpha * Math.expm1(x))),
  softmax: (node, [x], [shape]) => softmax(x, shape, node.attributes.axis - 1),
  log_softmax: (node, [x], [shape]) => softmax(x, shape, node.attributes.axis - 1, true),
  batch_norm(node, [x], [shape], { weight, bias, mean, variance }) {
    const size = x.length / shape[0];
    return x.map((value, i) => {
      const channel = Math.floor(i / size), scale = weight[channel] / Math.sqrt(variance[channel] + node.attributes.epsilon);
      return (value - mean[channel]) * scale + bias[channel];
    });
  },
  layer_norm(node, [x], [shape], { weight, bias }) {
    const size = shape.slice(node.attributes.axis - 1).reduce((a, b) => a * b, 1), y = new Float32Array(x.length);
    for (let start = 0; start < x.length; start += size) {
      let mean = 0, variance = 0;
      for (let i = 0; i < size; i++) mean += x[start + i] / size;
      for (let i = 0; i < size; i++) variance += (x[start + i] - mean) ** 2 / size;
      const scale = 1 / Math.sqrt(variance + node.attributes.epsilon);
      for (let i = 0; i < size; i++) {
        y[start + i] = (x[start + i] - mean) * scale * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
      }
    }
    return y;
  },
  affine: elementwise((x, { scale, bias }) => scale * x + bias),
  add: (node, [x, y], [shape, other]) => combine(x, y, shape, other, (a, b) => a + b),
  multiply: (node, [x, y], [shape, other]) => combine(x, y, shape, other, (a, b) => a * b),
  subtract: (node, [x, y], [shape, other]) => combine(x, y, shape, other, (a, b) => a - b),
  add_parameter: (node, [x], [shape], { weight }) => combine(x, weight, shape, node.attributes.shape, (a, b) => a + b),
  multiply_parameter: (node, [x], [shape], { weight }) =>
    combine(x, weight, shape, node.attributes.shape, (a, b) => a * b),
  concat(node, inputs, from) {
    const axis = node.attributes.axis - 1, y = new Float32Array(node.shape.reduce((a, b) => a * b, 1));
    const sizes = from.map((shape) => shape.slice(axis).reduce((a, b) => a * b, 1));
    for (let i = 0, place = 0; place < y.length; i++) {
      inputs.forEach((x, j) => {
        y.set(x.subarray(i * sizes[j], (i + 1) * sizes[j]), place);
        place += sizes[j];
      });
    }
    return y;
  },
  reshape: (node, [x]) => x,
};

function convolution(node, [x], [[channels, height, width]], { weight, bias }) {
  const [outChannels, outHeight, outWidth] = node.shape, { strides, paddings, dilations, groups } = node.attributes;
  const inPerGroup = channels / groups, outPerGroup = outChannels / groups;
  const kernel = node.kernel[0] * node.kernel[1];
  const kernelWidth = node.kernel[1], y = new Float32Array(outChannels * outHeight * outWidth);
  const sums = new Float64Array(outHeight * outWidth);
  for (let o = 0; o < outChannels; o++) {
    sums.fill(bias ? bias[o] : 0);
    const firstChannel = Math.floor(o / outPerGroup) * inPerGroup;
    for (let c = 0; c < inPerGroup; c++) {
      for (let k = 0; k < kernel; k++) {
        const down = Math.floor(k / kernelWidth) * dilations[0] - paddings[0];
        const right = (k % kernelWidth) * dilations[1] - paddings[2];
        const factor = weight[(o * inPerGroup + c) * kernel + k];
        const firstColumn = Math.max(0, Math.ceil(-right / strides[1]));
        const lastColumn = Math.min(outWidth - 1, Math.floor((width - 1 - right) / strides[1]));
        for (let row = 0; row < outHeight; row++) {
          const line = row * strides[0] + down;
          if (line < 0 || line >= height) continue;
          const base = ((firstChannel + c) * height + line) * width + right, out = row * outWidth;
          for (let column = firstColumn; column <= lastColumn; column++) {
            sums[out + column] += factor * x[base + column * strides[1]];
          }
        }
      }
    }
    y.set(sums, o * sums.length);
  }
  return y;
}

function linear(node, [x], [shape], { weight, bias }) {
  const inputs = shape[shape.length - 1], outputs = node.shape[node.shape.length - 1], rows = x.length / inputs;
  const [alongInputs, alongOutputs] = node.attributes.transposed ? [1, inputs] : [outputs, 1];
  const y = new Float32Array(rows * outputs), sums = new Float64Array(outputs);
  for (let row = 0; row < rows; row++) {
    for (let o = 0; o < outputs; o++) sums[o] = bias ? bias[o] : 0;
    for (let i = 0; i < inputs; i++) {
      const value = x[row * inputs + i];
      if (value === 0) continue;
      for (let o = 0; o < outputs; o++) sums[o] += value * weight[i * alongInputs + o * alongOutputs];
    }
    y.set(sums, row * outputs);
  }
  return y;
}

// Windows of an axis as [first, end, divisor], clipped at the border; the divisor is the window's share of an average.
function windows({ shape, attributes: { kernel, strides, paddings, exclusive } }, from) {
  return [0, 1].map((axis) =>
    Array.from({ length: shape[1 + axis] }, (_, i) => {
      const first = i * strides[axis] - paddings[2 * axis], end = first + kernel[axis];
      const clipped = [Math.max(first, 0), Math.min(end, from[1 + axis])];
      return [...clipped, exclusive === false ? kernel[axis] : clipped[1] - clipped[0]];
    }),
  );
}

function adaptiveWindows({ shape }, from) {
  return [0, 1].map((axis) =>
    Array.from({ length: shape[1 + axis] }, (_, i) => {
      const size = from[1 + axis], count = shape[1 + axis];
      const first = Math.floor((i * size) / count), end = Math.ceil(((i + 1) * size) / count);
      return [first, end, end - first];
    }),
  );
}

function pool(node, x, [channels, height, width], [rows, columns], isMaximum) {
  const y = new Float32Array(channels * rows.length * columns.length);
  let place = 0;
  for (let c = 0; c < channels; c++) {
    for (const [top, bottom, high] of rows) {
      for (const [left, right, wide] of columns) {
        let result = isMaximum ? -Infinity : 0;
        for (let v = top; v < bottom; v++) {
          for (let u = left; u < right; u++) {
            const value = x[(c * height + v) * width + u];
            if (!isMaximum) result += value;
            else if (value > result) result = value;
          }
        }
        y[place++] = isMaximum ? result : result / (high * wide);
      }
    }
  }
  return y;
}

function softmax(x, shape, axis, logarithm = false) {
  const size = shape[axis], step = shape.slice(axis + 1).reduce((a, b) => a * b, 1), y = x.slice();
  for (let i = 0; i < x.length; i++) {
    if (Math.floor(i / step) % size) continue; // the first element along the axis
    let largest = -Infinity, sum = 0;
    for (let j = 0; j < size; j++) largest = Math.max(largest, x[i + j * step]);
    for (let j = 0; j < size; j++) sum += Math.exp(x[i + j * step] - largest);
    for (let j = 0; j < size; j++) {
      const difference = x[i + j * step] - largest;
      y[i + j * step] = logarithm ? difference - Math.log(sum) : Math.exp(difference) / sum;
    }
  }
  return y;
}

// Combines two tensors; the second is repeated along axes where its shape has ones, or that it lacks in front.
function combine(x, y, shape, other, f) {
  if (x.length === y.length) return x.map((value, i) => f(value, y[i]));
  const padded = [...Array(Math.max(0, shape.length - other.length)).fill(1), ...other], strides = [];
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = padded[axis] === 1 ? 0 : step;
    step *= padded[axis];
  }
  return x.map((value, i) => {
    let rest = i, place = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += (rest % shape[axis]) * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return f(value, y[place]);
  });
}

// The error function, by its Taylor series for small x and by a continued fraction for large x.
function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x, sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = size;
  for (let n = 60; n >= 1; n--) fraction = size + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-size * size) / (fraction * Math.sqrt(Math.PI)));
}
