// Drawings and pictures as short texts for the address.

const toText = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

// Encodes strokes, as pad.js has them: the number of points of each, and the differences from point to point.
export function encodeStrokes(strokes) {
  const bytes = [],
    last = [0, 0];
  for (const stroke of strokes) {
    push(bytes, stroke.length / 2);
    stroke.forEach((value, i) => {
      const difference = value - last[i % 2];
      last[i % 2] = value;
      push(bytes, difference < 0 ? -2 * difference - 1 : 2 * difference);
    });
  }
  return toText(bytes);
}

// Appends a number of at least 0, seven bits a byte; the highest bit says that more follow.
function push(bytes, number) {
  for (; number > 127; number = Math.floor(number / 128)) bytes.push((number % 128) + 128);
  bytes.push(number);
}

// Returns the strokes of a text, or none if it is damaged.
export function decodeStrokes(text) {
  try {
    const bytes = toBytes(text),
      strokes = [],
      last = [0, 0];
    let place = 0;
    const next = () => {
      let number = 0,
        factor = 1,
        byte;
      do {
        if (place >= bytes.length || factor > 2 ** 28) throw new RangeError("the drawing ends early");
        byte = bytes[place++];
        number += (byte % 128) * factor;
        factor *= 128;
      } while (byte > 127);
      return number;
    };
    while (place < bytes.length) {
      const stroke = [];
      for (let count = 2 * next(); count > 0; count--) {
        const number = next(),
          axis = stroke.length % 2;
        stroke.push((last[axis] += number % 2 ? -(number + 1) / 2 : number / 2));
      }
      strokes.push(stroke);
    }
    return strokes;
  } catch {
    return [];
  }
}

// Encodes a picture of 28 × 28; a zero is followed by the number of zeros.
export function encodePicture(picture) {
  const bytes = [];
  for (let i = 0; i < picture.length; i++) {
    bytes.push(picture[i]);
    if (picture[i]) continue;
    let count = 1;
    while (count < 255 && i + 1 < picture.length && !picture[i + 1]) [count, i] = [count + 1, i + 1];
    bytes.push(count);
  }
  return toText(bytes);
}

// Returns the picture of a text, or null if it is damaged.
export function decodePicture(text) {
  try {
    const picture = [],
      bytes = toBytes(text);
    for (let i = 0; i < bytes.length && picture.length <= 784; i++) {
      if (bytes[i]) picture.push(bytes[i]);
      else picture.push(...Array(bytes[++i] ?? 0).fill(0));
    }
    return picture.length === 784 ? Uint8Array.from(picture) : null;
  } catch {
    return null;
  }
}
