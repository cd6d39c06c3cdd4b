// Shows the 28 × 28 picture that the nets get, with the box around its ink and its centre of mass.

const DIGIT_SIDE = 28; // pixels

// Returns {left, top, right, bottom, x, y} in pixels: the box around the ink, the last two exclusive, and the centre of
// mass; or null for a blank picture.
export function measure(digit) {
  let left = DIGIT_SIDE, top = DIGIT_SIDE, right = 0, bottom = 0, total = 0, momentX = 0, momentY = 0;
  for (let i = 0; i < digit.length; i++) {
    if (!digit[i]) continue;
    const x = i % DIGIT_SIDE, y = (i - x) / DIGIT_SIDE;
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x + 1), Math.min(top, y), Math.max(bottom, y + 1)];
    total += digit[i];
    momentX += digit[i] * (x + 0.5);
    momentY += digit[i] * (y + 0.5);
  }
  return total ? { left, top, right, bottom, x: momentX / total, y: momentY / total } : null;
}

// Draws a picture, Uint8Array of 28 × 28 or null for none, on a canvas of any size.
export function drawDigit(canvas, digit) {
  const image = new ImageData(DIGIT_SIDE, DIGIT_SIDE);
  for (let i = 0; i < DIGIT_SIDE * DIGIT_SIDE; i++) image.data.set([...Array(3).fill(digit ? digit[i] : 0), 255], 4 * i);
  const small = document.createElement("canvas");
  small.width = small.height = DIGIT_SIDE;
  small.getContext("2d").putImageData(image, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

// Draws a picture with its marks.
export function drawSeen(canvas, digit) {
  drawDigit(canvas, digit);
  const marks = digit && measure(digit);
  if (!marks) return;
  const context = canvas.getContext("2d"), scale = canvas.width / DIGIT_SIDE, { left, top, right, bottom } = marks;
  const [x, y, arm] = [marks.x * scale, marks.y * scale, 1.2 * scale];
  context.lineWidth = Math.max(1, scale / 5);
  context.strokeStyle = "#56b4e9";
  context.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
  for (const [colour, extra] of [["#000", 2], ["#ffb000", 0]]) {
    context.strokeStyle = colour;
    context.lineWidth = Math.max(1.5, scale / 4) + extra;
    context.beginPath();
    context.moveTo(x - arm, y);
    context.lineTo(x + arm, y);
    context.moveTo(x, y - arm);
    context.lineTo(x, y + arm);
    context.stroke();
  }
}
