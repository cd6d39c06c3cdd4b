// Shows how one unit comes to its value: its window, its weights, and the sum, with the live numbers.

import { make } from "./dom.js";
import { placeOf, unflattened } from "./explain.js";
import { t } from "./language.js";
import { colourCell, largestOf, layoutOf, paintMaps } from "./maps.js";

const MOST_TERMS = 12; // of a linear layer; the others are summed up

// A number with three significant digits, and a real minus sign.
export const number = (value) => {
  if (value === 0) return "0";
  const size = Math.abs(value),
    text =
      size >= 100
        ? size.toFixed(0)
        : size >= 0.001
          ? size.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3)
          : size.toExponential(0);
  return (value < 0 ? "−" : "") + text;
};
const inBrackets = (value) => (value < 0 ? `(${number(value)})` : number(value));
const product = ({ input, weight }) => `${number(input)} × ${inBrackets(weight)}`;

// Returns the name of a unit: its layer, and its place there.
export function unitName(label, shape, index) {
  const [first, row, column] = placeOf(shape, index);
  return shape.length === 3
    ? t("unitOfMap", { label, map: first, row, column })
    : t("unitOfRow", { label, index: first });
}

// Shows an explanation, as explain.js gives it. labels names tensors for people; channel is the input map to show of a
// convolution, and chooseChannel takes another.
export function showUnit(place, explained, { graph, shapes, labels, channel, chooseChannel }) {
  const { node, index, value } = explained,
    title = unitName(labels(node.name), node.shape, index);
  place.replaceChildren(
    make("h2", {}, title),
    make("p", { className: "unit-value" }, make("output", {}, number(value))),
  );
  const show = {
    sum: explained.window ? showConvolution : showLinear,
    pool: showPool,
    function: showFunction,
    value: () => {},
  };
  show[explained.kind](place, explained, { graph, shapes, labels, channel, chooseChannel });
  return `${title}: ${number(value)}`;
}

// A table of numbers, coloured by their share of the largest.
function grid(caption, values, width, { largest = largestOf(values), marked = -1 } = {}) {
  const body = make("tbody");
  for (let start = 0; start < values.length; start += width) {
    const row = make("tr");
    for (let i = start; i < start + width; i++) {
      const cell = make(
        "td",
        { className: i === marked ? "marked" : "" },
        values[i] === null ? "·" : number(values[i]),
      );
      colourCell(cell, (values[i] ?? 0) / largest);
      row.append(cell);
    }
    body.append(row);
  }
  return make("table", { className: "numbers" }, make("caption", {}, caption), body);
}

const operand = (sign, table) =>
  make("div", { className: "operand" }, make("span", { "aria-hidden": "true" }, sign), table);

function formula(place, ...lines) {
  place.append(...lines.map((line) => make("p", { className: "formula" }, line)));
}

function showConvolution(
  place,
  { terms, bias, value, kernel, channels, firstChannel, source },
  { labels, channel, chooseChannel },
) {
  const sums = Array(channels).fill(0);
  for (const term of terms) sums[term.channel - firstChannel] += term.product;
  const strongest = sums.reduce((best, sum, i) => (Math.abs(sum) > Math.abs(sums[best]) ? i : best), 0);
  const shown = channel !== null && sums[channel - firstChannel] !== undefined ? channel - firstChannel : strongest;
  const own = terms.filter((term) => term.channel === firstChannel + shown),
    width = kernel[1];
  if (channels > 1) {
    const select = make("select", { id: "unit-channel" });
    sums.forEach((sum, i) =>
      select.append(
        make(
          "option",
          { value: String(firstChannel + i), selected: i === shown },
          t("channelSum", { map: firstChannel + i, sum: number(sum) }),
        ),
      ),
    );
    select.addEventListener("change", () => chooseChannel(Number(select.value)));
    place.append(
      make(
        "p",
        { className: "row" },
        make("label", { for: "unit-channel" }, t("inputMap", { label: labels(source) })),
        select,
      ),
    );
  }
  const window = grid(
    t("window", { label: labels(source) }),
    own.map((term) => (term.index === null ? null : term.input)),
    width,
  );
  const weights = grid(
    t("weights"),
    own.map((term) => term.weight),
    width,
  );
  const products = grid(
    t("products"),
    own.map((term) => term.product),
    width,
  );
  place.append(
    make("div", { className: "operands" }, operand("", window), operand("×", weights), operand("=", products)),
  );
  const live = own.filter((term) => term.product !== 0),
    written = live.map(product).join(" + ") || "0";
  formula(place, `${written} = ${number(sums[shown])}`);
  if (channels > 1) formula(place, t("sumOfMaps", { sum: number(sums.reduce((a, b) => a + b, 0)), count: channels }));
  formula(
    place,
    `${number(sums.reduce((a, b) => a + b, 0))} + ${inBrackets(bias ?? 0)} = ${number(value)}   ${t("biasLast")}`,
  );
}

function showLinear(place, { terms, bias, value, source }, { graph, shapes, labels }) {
  const { name, shape } = unflattened(graph, shapes, source),
    sorted = [...terms].sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  if (shape.length === 3)
    place.append(
      figure(
        t("contributions"),
        terms.map((term) => term.product),
        shape,
      ),
    );
  const top = sorted.slice(0, MOST_TERMS).filter((term) => term.product !== 0),
    rest = sorted.slice(top.length);
  const restSum = rest.reduce((sum, term) => sum + term.product, 0),
    body = make("tbody");
  for (const term of top) {
    const cell = make("td", {}, number(term.product));
    colourCell(cell, term.product / Math.abs(top[0].product));
    body.append(
      make(
        "tr",
        {},
        make("th", { scope: "row" }, unitName(labels(name), shape, term.index)),
        make("td", {}, number(term.input)),
        make("td", {}, number(term.weight)),
        cell,
      ),
    );
  }
  const head = make(
    "tr",
    {},
    ...["unit", "input", "weight", "product"].map((key) => make("th", { scope: "col" }, t(key))),
  );
  place.append(
    make("table", { className: "terms" }, make("caption", {}, t("largestTerms")), make("thead", {}, head), body),
  );
  const parts = [
    ...top.map(product),
    t("others", { count: rest.length, sum: number(restSum) }),
    t("biasIs", { bias: number(bias ?? 0) }),
  ];
  formula(place, `${parts.join(" + ")} = ${number(value)}`);
}

// A picture of what each place of the tensor before adds to the sum.
function figure(caption, values, [count, height, width]) {
  const canvas = make("canvas", { className: "pixels", role: "img", "aria-label": caption });
  paintMaps(canvas, values, layoutOf({ count, height, width }, 300, { target: count > 1 ? 42 : 168, gap: 3 }));
  return make("figure", {}, canvas, make("figcaption", { className: "quiet" }, caption));
}

function showPool(place, { inputs, kernel, isMaximum, value, source }, { labels }) {
  const values = inputs.map(({ input }) => input),
    largest = values.indexOf(Math.max(...values));
  place.append(
    grid(t("window", { label: labels(source) }), values, Math.min(kernel[1], values.length), {
      marked: isMaximum ? largest : -1,
    }),
  );
  const written = values.map(number).join(", ");
  formula(place, `${isMaximum ? "max" : "mean"}(${written}) = ${number(value)}`);
}

const FUNCTIONS = {
  relu: (x) => `max(0, ${x})`,
  sigmoid: (x) => `1 / (1 + exp(−${x}))`,
  tanh: (x) => `tanh(${x})`,
  add: (x, y) => `${x} + ${y}`,
  multiply: (x, y) => `${x} × ${y}`,
  reshape: (x) => x,
};

function showFunction(place, { operation, inputs, value }) {
  const write = FUNCTIONS[operation] ?? ((...values) => `${operation}(${values.join(", ")})`);
  formula(place, `${write(...inputs.map(inBrackets))} = ${number(value)}`);
}
