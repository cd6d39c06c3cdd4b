// A pad to draw digits on with a pen, a mouse, a finger or the keyboard.
//
// A drawing is a list of strokes, each a list of coordinates x, y, x, y … in quarters of a pixel of the pad. Drawing the
// same strokes again gives the same pixels.

// Pixels: the side of a pad for one digit, and the blank margin around it. With the margin, no stroke reaches from one
// edge of the picture to the other, so that none can be taken for a printed line.
export const SIDE = 168;
const MARGIN = 14, PEN = 12, STEP = 6, UNIT = 4;

// Makes a canvas a pad. It calls onChange after every change, and onStroke when a stroke has ended. The cursor is an
// element that shows where the keyboard's pen is: arrows move it, the space bar puts it down and lifts it, Delete clears,
// Ctrl+Z undoes. What is shown has the text colour of the canvas; the picture for the nets is black on white.
export function createPad(canvas, cursor, { onChange = () => {}, onStroke = () => {} } = {}) {
  const ink = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const shown = canvas.getContext("2d");
  let width = SIDE, height = SIDE, pen = null, strokes = [], current = null, pointer = null, penWidth = PEN;

  function redraw() {
    [ink.canvas.width, ink.canvas.height] = [width, height];
    ink.fillStyle = "#fff";
    ink.fillRect(0, 0, width, height);
    ink.strokeStyle = "#000";
    shown.clearRect(0, 0, canvas.width, canvas.height);
    shown.strokeStyle = getComputedStyle(canvas).color;
    for (const stroke of strokes) for (let i = 0; i < stroke.length; i += 2) drawPoint(stroke, i);
  }

  // Draws the line that leads to the point at index i of a stroke, or a dot for its first point.
  function drawPoint(stroke, i) {
    const from = Math.max(i - 2, 0), isDot = stroke[from] === stroke[i] && stroke[from + 1] === stroke[i + 1];
    for (const context of [ink, shown]) {
      const scale = context.canvas.width / width / UNIT;
      context.lineWidth = penWidth * UNIT * scale;
      context.lineCap = context.lineJoin = "round";
      context.beginPath();
      context.moveTo(stroke[from] * scale, stroke[from + 1] * scale);
      context.lineTo(stroke[i] * scale + (isDot ? 0.01 : 0), stroke[i + 1] * scale); // a line without length is not drawn
      context.stroke();
    }
  }

  function begin(point) {
    current = [];
    strokes.push(current);
    extend(point);
  }

  function extend({ x, y }) {
    const next = [Math.round(x * UNIT), Math.round(y * UNIT)], last = current.slice(-2);
    if (next[0] === last[0] && next[1] === last[1]) return;
    drawPoint(current, current.push(...next) - 2);
    onChange();
  }

  function end() {
    if (current) onStroke();
    current = pointer = null;
  }

  function change(newStrokes) {
    strokes = newStrokes;
    current = pointer = null;
    pen.down = false;
    redraw();
    showCursor();
    onChange();
  }

  const clear = () => change([]), undo = () => change(strokes.slice(0, -1));

  function resize(newWidth, newHeight) {
    [width, height] = [newWidth, newHeight];
    pen = { x: width / 2, y: height / 2, down: false };
    change([]);
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) * width) / box.width, y: ((event.clientY - box.top) * height) / box.height };
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    if (pen.down) liftPen();
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) extend(place(one));
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(kind, (event) => {
      if (event.pointerId === pointer) end();
    });
  }

  function liftPen() {
    pen.down = false;
    end();
    showCursor();
  }

  const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || ((event.ctrlKey || event.metaKey) && event.key !== "z")) return;
    if (event.key in moves) {
      const inside = (value, size) => Math.min(Math.max(value, 0), size);
      pen.x = inside(pen.x + moves[event.key][0], width);
      pen.y = inside(pen.y + moves[event.key][1], height);
      if (pen.down) extend(pen);
    } else if (event.key === " ") {
      if (pen.down) liftPen();
      else begin(pen);
      pen.down = current !== null;
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) {
      undo();
    } else {
      return;
    }
    event.preventDefault();
    showCursor();
  });
  canvas.addEventListener("blur", () => pen.down && liftPen());

  function showCursor() {
    cursor.style.left = `${(100 * pen.x) / width}%`;
    cursor.style.top = `${(100 * pen.y) / height}%`;
    cursor.classList.toggle("down", pen.down);
  }

  // Returns the drawing with its margin: {gray: Uint8Array, row by row, width, height}.
  function picture() {
    const { data } = ink.getImageData(0, 0, width, height), wide = width + 2 * MARGIN;
    const gray = new Uint8Array(wide * (height + 2 * MARGIN)).fill(255);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) gray[(y + MARGIN) * wide + x + MARGIN] = data[4 * (y * width + x)];
    }
    return { gray, width: wide, height: height + 2 * MARGIN };
  }

  resize(width, height);
  return {
    clear,
    undo,
    redraw,
    resize,
    picture,
    load: change,
    size: () => [width, height],
    strokes: () => strokes.filter((stroke) => stroke.length),
    setPenWidth: (pixels) => (penWidth = pixels),
    toPad: (x, y) => [x - MARGIN, y - MARGIN], // from pixels of the picture to those of the pad
  };
}
