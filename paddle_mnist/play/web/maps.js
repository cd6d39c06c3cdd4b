// Paints numbers as colours: blue above zero, orange below, and the page's own paper for zero.

const COLOURS = {
  light: { zero: [255, 255, 255], above: [8, 70, 150], below: [190, 80, 0] },
  dark: { zero: [11, 13, 17], above: [130, 195, 255], below: [255, 165, 70] },
};
const isDark = matchMedia("(prefers-color-scheme: dark)");

// Returns [red, green, blue] for a share from -1 to 1 of the largest value.
export function colourOf(share) {
  const { zero, above, below } = COLOURS[isDark.matches ? "dark" : "light"];
  const end = share < 0 ? below : above,
    amount = Math.min(Math.abs(share), 1) ** 0.8;
  return zero.map((value, i) => Math.round(value + (end[i] - value) * amount));
}

const SHADES = 255; // of each side of zero, when maps are painted
const palettes = {};

// Returns the colours of the shares -1 … 1 as pixels, made once for each appearance of the page.
function palette() {
  const pixel = (_, i) => {
    const [red, green, blue] = colourOf((i - SHADES) / SHADES);
    return (255 << 24) | (blue << 16) | (green << 8) | red;
  };
  return (palettes[isDark.matches] ??= Uint32Array.from({ length: 2 * SHADES + 1 }, pixel));
}

// A text colour that can be read on the colour of a share.
function textColourOf(share) {
  const [red, green, blue] = colourOf(share).map((value) => (value / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
}

// Colours a cell of a table.
export function colourCell(cell, share) {
  cell.style.backgroundColor = `rgb(${colourOf(share).join(" ")})`;
  cell.style.color = textColourOf(share);
}

export function largestOf(values) {
  let largest = 0;
  for (const value of values) if (Math.abs(value) > largest) largest = Math.abs(value);
  return largest || 1;
}

// Returns how to lay out maps of height × width in a given width: {columns, scale, gap, …}.
export function layoutOf({ count, height, width }, available, { target = 56, columns = null, gap = 6 } = {}) {
  const scale = Math.max(1, Math.floor(target / Math.max(height, width)));
  const stepX = width * scale + gap,
    stepY = height * scale + gap;
  const fit = columns ?? Math.max(1, Math.min(count, Math.floor((available + gap) / stepX)));
  const rows = Math.ceil(count / fit);
  return {
    count,
    height,
    width,
    scale,
    stepX,
    stepY,
    columns: fit,
    rows,
    fullWidth: fit * stepX - gap,
    fullHeight: rows * stepY - gap,
  };
}

// Paints maps that lie in values one after the other.
export function paintMaps(canvas, values, layout, largest = largestOf(values)) {
  const { count, height, width, scale, stepX, stepY, columns } = layout,
    context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [layout.fullWidth, layout.fullHeight];
  const image = context.createImageData(canvas.width, canvas.height),
    pixels = new Uint32Array(image.data.buffer),
    colours = palette();
  for (let i = 0; i < count; i++) {
    const left = (i % columns) * stepX,
      top = Math.floor(i / columns) * stepY;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const share = Math.min(Math.max(values[(i * height + y) * width + x] / largest, -1), 1);
        const colour = colours[SHADES + Math.round(SHADES * share)];
        for (let v = 0; v < scale; v++) {
          const start = (top + y * scale + v) * canvas.width + left + x * scale;
          pixels.fill(colour, start, start + scale);
        }
      }
    }
  }
  context.putImageData(image, 0, 0);
}

// Writes the number of each unit of a row of features into its square.
export function numberUnits(canvas, { count, scale, stepX, stepY, columns }, values) {
  const context = canvas.getContext("2d"),
    largest = largestOf(values);
  context.font = `600 ${Math.round(scale * 0.4)}px sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let i = 0; i < count; i++) {
    context.fillStyle = textColourOf(values[i] / largest);
    context.fillText(i, (i % columns) * stepX + scale / 2, Math.floor(i / columns) * stepY + scale / 2);
  }
}

// Frames part of a map: {map, top, left, height, width} in its own pixels, clipped at its border.
export function frame(canvas, layout, { map, top, left, height, width }, colour, lineWidth = 2) {
  const { scale, stepX, stepY, columns } = layout,
    context = canvas.getContext("2d");
  const [t, l] = [Math.max(top, 0), Math.max(left, 0)];
  const [b, r] = [Math.min(top + height, layout.height), Math.min(left + width, layout.width)];
  context.strokeStyle = colour;
  context.lineWidth = lineWidth;
  context.strokeRect(
    (map % columns) * stepX + l * scale,
    Math.floor(map / columns) * stepY + t * scale,
    (r - l) * scale,
    (b - t) * scale,
  );
}

// Returns the [map, row, column] at a point of the canvas, in its own pixels, or null in a gap.
export function hit({ count, height, width, scale, stepX, stepY, columns }, x, y) {
  const across = Math.floor(x / stepX),
    down = Math.floor(y / stepY),
    map = down * columns + across;
  const column = Math.floor((x - across * stepX) / scale),
    row = Math.floor((y - down * stepY) / scale);
  if (across < 0 || across >= columns || map < 0 || map >= count || row < 0 || column < 0) return null;
  return row < height && column < width ? [map, row, column] : null;
}

// Calls a function when the colours change.
export const onColours = (listener) => isDark.addEventListener("change", listener);
