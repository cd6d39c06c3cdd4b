// From a drawing to a digit as MNIST has it: the twin of paddle_mnist/pictures/preprocess.py, bit for bit.
//
// Arrays of pixels are Float32Array, and every result is rounded to float32 where NumPy rounds it. What the twin leaves
// out is the search for printed lines: in a picture with a blank margin, as the pad makes it, there is none to be found.

const FIELD = 28, BOX = 20;
const PAPER_SIDE = 128, PAPER_WINDOW = 0.4, MAX_GAIN = 3;
const MIN_CONTRAST = 24, MIN_CONTRAST_TO_NOISE = 5;
const EDGE = 0.25, SPECK_AREA = 0.02, MAX_SPOTS = 1000, MAX_INK_SHARE = 0.5;
const f32 = Math.fround;

// Takes grey values (Uint8Array, row by row) and returns the digit, Uint8Array of 28 × 28, or null where there is no ink.
export function prepare(gray, width, height) {
  const ink = findInk(gray, width, height);
  return ink && prepareDigit(ink, width, height);
}

// Returns how much ink there is at each pixel, 0 to 1, or null if nothing stands out of the page.
export function findInk(gray, width, height) {
  if (Math.min(width, height) < 4) return null;
  const light = smooth(new Float32Array(gray), width, height);
  const first = differenceFrom(light, paperOf(light, width, height)), bright = f32(inkLevel(first) / 3);
  // Wide strokes have pulled the estimate towards their own brightness: a second one leaves them out.
  const difference = differenceFrom(light, paperOf(light, width, height, first.map((value) => value > bright)));
  const n = light.length;
  const middle = median(difference);
  const distance = new Float32Array(n);
  for (let i = 0; i < n; i++) distance[i] = Math.abs(f32(difference[i] - middle));
  const noise = 1.4826 * median(distance);
  const level = inkLevel(difference);
  if (level < MIN_CONTRAST || level < MIN_CONTRAST_TO_NOISE * noise) return null;
  const half = f32(level / 2), floor = Math.max(2.5 * noise, 0.06 * level), low = f32(floor), range = f32(level - floor);
  const ink = new Float32Array(n);
  let dark = 0;
  for (let i = 0; i < n; i++) {
    if (difference[i] > half) dark++;
    ink[i] = Math.min(Math.max(f32(f32(difference[i] - low) / range), 0), 1);
  }
  return dark / n > MAX_INK_SHARE ? null : withoutSpecks(ink, width, height);
}

// Returns by how much each pixel differs from the paper, positive for ink, whichever of the two is darker.
function differenceFrom(light, paper) {
  const difference = light.map((value, i) => value - paper[i]);
  let third = 0;
  for (const value of difference) third += value * value * value;
  if (third >= 0) return difference;
  const usual = median(paper);
  return difference.map((value, i) => -value * Math.min(Math.max(f32(usual / Math.max(paper[i], 1)), 1), MAX_GAIN));
}

function smooth(light, width, height) {
  const side = Math.max(width, height);
  return side < 100 ? light : gaussian(light, width, height, side < 400 ? 0.8 : 1.2);
}

// Filters along columns, then along rows; beyond the border the picture is mirrored. Where a mask of wanted pixels is
// given, the others need not be right.
function gaussian(values, width, height, sigma, wanted = new Uint8Array(values.length).fill(1)) {
  const radius = Math.floor(4 * sigma + 0.5), weights = new Float64Array(radius + 1); // from the middle outwards
  for (let i = 0; i <= radius; i++) weights[i] = Math.exp((-0.5 / (sigma * sigma)) * i * i);
  let total = 0;
  for (let i = -radius; i <= radius; i++) total += weights[Math.abs(i)];
  for (let i = 0; i <= radius; i++) weights[i] /= total;
  const wantedRows = new Uint8Array(height);
  wanted.forEach((value, i) => value && (wantedRows[Math.floor(i / width)] = 1));
  let result = values;
  for (const [size, step, lines, skip, mask, maskSkip] of [
    [height, width, width, 1, wantedRows, 0],
    [width, 1, height, width, wanted, width],
  ]) {
    const filtered = new Float32Array(values.length), line = new Float64Array(size + 2 * radius);
    const places = Int32Array.from(line, (_, i) => step * mirrored(i - radius, size));
    for (let l = 0; l < lines; l++) {
      for (let i = 0; i < line.length; i++) line[i] = result[l * skip + places[i]];
      // Four sums at a time, for one sum has to wait for each of its additions.
      let i = 0;
      for (; i + 3 < size; i += 4) {
        const middle = i + radius, m = l * maskSkip + i;
        if (!(mask[m] || mask[m + 1] || mask[m + 2] || mask[m + 3])) continue;
        let a = line[middle] * weights[0], b = line[middle + 1] * weights[0];
        let c = line[middle + 2] * weights[0], d = line[middle + 3] * weights[0];
        for (let j = radius; j >= 1; j--) {
          const weight = weights[j], left = middle - j, right = middle + j;
          a += (line[left] + line[right]) * weight;
          b += (line[left + 1] + line[right + 1]) * weight;
          c += (line[left + 2] + line[right + 2]) * weight;
          d += (line[left + 3] + line[right + 3]) * weight;
        }
        const at = l * skip + step * i;
        filtered[at] = a;
        filtered[at + step] = b;
        filtered[at + 2 * step] = c;
        filtered[at + 3 * step] = d;
      }
      for (; i < size; i++) {
        let sum = line[i + radius] * weights[0];
        for (let j = radius; j >= 1; j--) sum += (line[i + radius - j] + line[i + radius + j]) * weights[j];
        filtered[l * skip + step * i] = sum;
      }
    }
    result = filtered;
  }
  return result;
}

function mirrored(i, size) {
  const period = 2 * size, place = ((i % period) + period) % period;
  return place < size ? place : period - 1 - place;
}

// Returns the paper's brightness at each pixel: the median of a wide window, along rows, then along columns. Where ink is
// known, a mask of it (not 0) leaves it out.
function paperOf(light, width, height, ink = null) {
  const factor = Math.max(1, Math.floor(Math.max(width, height) / PAPER_SIDE));
  const small = reduce(light, width, height, factor);
  if (ink) small.values = withoutInk(small.values, reduce(ink, width, height, factor).values, small.width, small.height);
  const half = Math.max(2, roundHalfToEven((PAPER_WINDOW * Math.max(small.width, small.height)) / 2));
  let values = medians(small.values, small.width, small.height, half, 1, small.width);
  values = medians(values, small.height, small.width, half, small.width, 1);
  values = gaussian(values, small.width, small.height, 1);
  return resize(values, small.width, small.height, width, height, TRIANGLE, f32(width / factor), f32(height / factor));
}

// Replaces ink, and its soft edges, by the mean of the paper around it.
function withoutInk(light, ink, width, height) {
  const paper = new Float32Array(light.length).fill(1);
  for (let i = 0; i < light.length; i++) {
    if (!(ink[i] > 0)) continue;
    const x = i % width;
    for (const [next, inside] of [[i, true], [i - 1, x > 0], [i + 1, x < width - 1], [i - width, true], [i + width, true]]) {
      if (inside && next >= 0 && next < light.length) paper[next] = 0;
    }
  }
  const reach = (PAPER_WINDOW * Math.max(width, height)) / 4;
  const inked = Uint8Array.from(paper, (value) => 1 - value);
  const around = gaussian(light.map((value, i) => value * paper[i]), width, height, reach, inked);
  const share = gaussian(paper, width, height, reach, inked);
  return light.map((value, i) => (paper[i] ? value : around[i] / Math.max(share[i], f32(1e-6))));
}

// Averages blocks of factor × factor pixels, in the order in which Pillow adds them.
function reduce(values, width, height, factor) {
  if (factor === 1) return { values, width, height };
  const columns = Math.ceil(width / factor), rows = Math.ceil(height / factor);
  const result = new Float32Array(columns * rows);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const left = column * factor, right = Math.min(left + factor, width);
      const top = row * factor, bottom = Math.min(top + factor, height);
      let sum = 0, y = top;
      for (; y + 1 < bottom; y += 2) {
        const first = y * width, second = first + width;
        let x = left;
        for (; x + 1 < right; x += 2) {
          sum += f32(f32(f32(values[first + x] + values[first + x + 1]) + values[second + x]) + values[second + x + 1]);
        }
        if (x < right) sum += f32(values[first + x] + values[second + x]);
      }
      if (y < bottom) {
        let x = left;
        for (; x + 1 < right; x += 2) sum += f32(values[y * width + x] + values[y * width + x + 1]);
        if (x < right) sum += values[y * width + x];
      }
      result[row * columns + column] = sum * (1 / ((right - left) * (bottom - top)));
    }
  }
  return { values: result, width: columns, height: rows };
}

// Running medians of windows of 2 half + 1 values along each line; beyond its ends a line repeats its last value.
function medians(values, size, lines, half, step, skip) {
  const result = new Float32Array(values.length), length = 2 * half + 1, sorted = new Float32Array(length);
  for (let l = 0; l < lines; l++) {
    const at = (i) => values[l * skip + step * Math.min(Math.max(i, 0), size - 1)];
    for (let i = 0; i < length; i++) sorted[i] = at(i - half);
    sorted.sort();
    result[l * skip] = sorted[half];
    for (let i = 1; i < size; i++) {
      const old = at(i - 1 - half), added = at(i + half);
      if (old !== added) exchange(sorted, old, added);
      result[l * skip + step * i] = sorted[half];
    }
  }
  return result;
}

function exchange(sorted, old, added) {
  let low = 0, high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < old) low = middle + 1; else high = middle;
  }
  for (; low + 1 < sorted.length && sorted[low + 1] < added; low++) sorted[low] = sorted[low + 1];
  for (; low > 0 && sorted[low - 1] > added; low--) sorted[low] = sorted[low - 1];
  sorted[low] = added;
}

const TRIANGLE = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };
const CUBIC = {
  support: 2,
  weight(x) {
    x = Math.abs(x);
    if (x < 1) return ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
  },
};

// Resamples as Pillow does, along rows, then along columns. The part of the picture from its corner to (right, bottom)
// becomes the whole.
function resize(values, width, height, newWidth, newHeight, filter, right = width, bottom = height) {
  let result = values;
  if (newWidth !== width || right !== width) {
    const windows = windowsOf(width, right, newWidth, filter), wide = new Float32Array(newWidth * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < newWidth; x++) {
        const { first, weights } = windows[x];
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += result[y * width + first + i] * weights[i];
        wide[y * newWidth + x] = sum;
      }
    }
    result = wide;
  }
  if (newHeight !== height || bottom !== height) {
    const windows = windowsOf(height, bottom, newHeight, filter), high = new Float32Array(newWidth * newHeight);
    for (let y = 0; y < newHeight; y++) {
      const { first, weights } = windows[y];
      for (let x = 0; x < newWidth; x++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += result[(first + i) * newWidth + x] * weights[i];
        high[y * newWidth + x] = sum;
      }
    }
    result = high;
  }
  return result;
}

function windowsOf(size, end, newSize, filter) {
  const scale = end / newSize, stretch = Math.max(scale, 1), support = filter.support * stretch, windows = [];
  for (let i = 0; i < newSize; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(size, Math.trunc(centre + support + 0.5));
    const weights = new Float64Array(last - first);
    let total = 0;
    for (let j = 0; j < weights.length; j++) {
      total += weights[j] = filter.weight((j + first - centre + 0.5) * (1 / stretch));
    }
    if (total !== 0) for (let j = 0; j < weights.length; j++) weights[j] *= 1 / total;
    windows.push({ first, weights });
  }
  return windows;
}

// The mean of the two middle values where their number is even.
function median(values) {
  const work = new Float32Array(values), middle = work.length >> 1, upper = select(work, middle);
  if (work.length % 2) return upper;
  let lower = -Infinity; // the largest of those that selection has put before the middle
  for (let i = 0; i < middle; i++) if (work[i] > lower) lower = work[i];
  return f32(f32(lower + upper) / 2);
}

// Returns the value that sorting would put at a place, with all smaller ones moved before it (Hoare's quickselect).
function select(values, place) {
  let low = 0, high = values.length - 1;
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let i = low, j = high;
    while (i <= j) {
      while (values[i] < pivot) i++;
      while (values[j] > pivot) j--;
      if (i <= j) {
        const moved = values[i];
        values[i++] = values[j];
        values[j--] = moved;
      }
    }
    if (place <= j) high = j;
    else if (place >= i) low = i;
    else break;
  }
  return values[place];
}

// Returns how far full ink lies from paper: the 90th percentile of what lies above Otsu's threshold.
function inkLevel(difference) {
  const threshold = otsu(difference);
  const above = difference.filter((value) => value > threshold).sort();
  if (!above.length) return 0;
  const place = f32(f32(0.9) * (above.length - 1)), first = Math.floor(place), share = f32(place - first);
  const low = above[first], high = above[Math.min(first + 1, above.length - 1)], step = f32(high - low);
  return share >= 0.5 ? f32(high - f32(step * f32(1 - share))) : f32(low + f32(step * share));
}

// Returns the threshold that separates values into two classes with the most distant means.
function otsu(values) {
  const bins = 256;
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, values[i]);
  if (largest <= 0) return Infinity;
  const edges = new Float32Array(bins + 1), step = f32(largest / bins), counts = new Float64Array(bins);
  for (let i = 0; i < bins; i++) edges[i] = i * step;
  edges[bins] = largest;
  for (let i = 0; i < values.length; i++) {
    const positive = Math.max(values[i], 0);
    let bin = Math.min(Math.trunc(f32(f32(positive / largest) * bins)), bins - 1);
    if (positive < edges[bin]) bin--;
    else if (positive >= edges[bin + 1] && bin !== bins - 1) bin++;
    counts[bin]++;
  }
  const centres = new Float32Array(bins);
  for (let i = 0; i < bins; i++) centres[i] = f32(edges[i] + edges[i + 1]) / 2;
  let total = 0;
  for (let i = 0; i < bins; i++) total += counts[i] * centres[i];
  let below = 0, sum = 0, best = -1, threshold = 0;
  for (let i = 0; i < bins; i++) {
    below += counts[i];
    sum += counts[i] * centres[i];
    const above = values.length - below;
    const between = below * above * (sum / below - (total - sum) / above) ** 2;
    if (between > best) [best, threshold] = [between, centres[i]];
  }
  return threshold;
}

// Removes what is far smaller than the writing, with its soft edges.
function withoutSpecks(ink, width, height) {
  const labels = new Int32Array(ink.length), areas = [0], stack = [];
  for (let start = 0; start < ink.length; start++) {
    if (labels[start] || !(ink[start] > EDGE)) continue;
    const label = areas.push(0) - 1;
    labels[start] = label;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop(), x = place % width, y = (place - x) / width;
      areas[label]++;
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const other = v * width + u;
          if (labels[other] || !(ink[other] > EDGE)) continue;
          labels[other] = label;
          stack.push(other);
        }
      }
    }
  }
  if (areas.length - 1 > MAX_SPOTS) return null;
  const least = SPECK_AREA * Math.max(...areas), result = ink.slice();
  for (let place = 0; place < ink.length; place++) {
    if (!labels[place] || areas[labels[place]] >= least) continue;
    const x = place % width, y = (place - x) / width;
    for (let dy = -2; dy <= 2; dy++) {
      for (let dx = Math.abs(dy) - 2; dx <= 2 - Math.abs(dy); dx++) {
        if (x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height) result[place + dy * width + dx] = 0;
      }
    }
  }
  return result;
}

// Fits ink into 20 × 20, with its centre of mass in the centre of 28 × 28.
export function prepareDigit(ink, width, height) {
  let left = width, top = height, right = 0, bottom = 0;
  for (let i = 0; i < ink.length; i++) {
    if (!(ink[i] > EDGE)) continue;
    const x = i % width, y = (i - x) / width;
    [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
    [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
  }
  if (left >= right) return null;
  const cropWidth = right - left, cropHeight = bottom - top, crop = new Float32Array(cropWidth * cropHeight);
  for (let y = 0; y < cropHeight; y++) {
    crop.set(ink.subarray((top + y) * width + left, (top + y) * width + right), y * cropWidth);
  }
  const factor = BOX / Math.max(cropWidth, cropHeight);
  const w = Math.max(1, roundHalfToEven(cropWidth * factor)), h = Math.max(1, roundHalfToEven(cropHeight * factor));
  const small = resize(crop, cropWidth, cropHeight, w, h, CUBIC).map((value) => Math.max(value, 0));
  const largest = small.reduce((a, b) => Math.max(a, b));
  for (let i = 0; i < small.length; i++) small[i] /= largest;
  const total = pairwiseSum(small, 0, small.length);
  let momentY = 0, momentX = 0;
  for (let y = 0; y < h; y++) momentY += pairwiseSum(small, y * w, w) * y;
  for (let x = 0; x < w; x++) {
    let sum = 0;
    for (let y = 0; y < h; y++) sum = f32(sum + small[y * w + x]);
    momentX += sum * x;
  }
  const y0 = Math.min(Math.max(roundHalfToEven(FIELD / 2 - momentY / total), 0), FIELD - h);
  const x0 = Math.min(Math.max(roundHalfToEven(FIELD / 2 - momentX / total), 0), FIELD - w);
  const field = new Uint8Array(FIELD * FIELD);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) field[(y0 + y) * FIELD + x0 + x] = roundHalfToEven(255 * small[y * w + x]);
  }
  return field;
}

// Adds float32 numbers in the order in which NumPy adds them.
function pairwiseSum(values, start, n) {
  if (n > 128) {
    let half = n >> 1;
    half -= half % 8;
    return f32(pairwiseSum(values, start, half) + pairwiseSum(values, start + half, n - half));
  }
  let sum = 0, i = 0;
  if (n >= 8) {
    const r = values.slice(start, start + 8);
    for (i = 8; i < n - (n % 8); i += 8) for (let j = 0; j < 8; j++) r[j] += values[start + i + j];
    sum = f32(f32(f32(r[0] + r[1]) + f32(r[2] + r[3])) + f32(f32(r[4] + r[5]) + f32(r[6] + r[7])));
  }
  for (; i < n; i++) sum = f32(sum + values[start + i]);
  return sum;
}

export function roundHalfToEven(value) {
  const below = Math.floor(value), rest = value - below;
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? 1 : 0);
}
