// A pad to draw a digit on with a pen, a mouse, a finger or the keyboard.

// Pixels: of the canvas, of the blank margin around it, and of both. With the margin, no stroke reaches from one edge of
// the picture to the other, so that none can be taken for a printed line.
const SIDE = 168, MARGIN = 14;
export const PICTURE = SIDE + 2 * MARGIN;
const PEN = 12, STEP = 6;

// Draws on a canvas of SIDE × SIDE pixels, black on white, and calls onChange after every change. The cursor is an
// element that shows where the keyboard's pen is: arrows move it, the space bar puts it down and lifts it, Delete clears.
export function createPad(canvas, cursor, onChange) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pen = { x: SIDE / 2, y: SIDE / 2, down: false };
  let pointer = null, last = null;

  function clear() {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, SIDE, SIDE);
    pen.down = false;
    show();
    onChange();
  }

  function stroke(from, to) {
    context.lineWidth = PEN;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#000";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x + (from.x === to.x && from.y === to.y ? 0.01 : 0), to.y); // a dot is a line too
    context.stroke();
    onChange();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return { x: ((event.clientX - box.left) * SIDE) / box.width, y: ((event.clientY - box.top) * SIDE) / box.height };
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    last = place(event);
    stroke(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
      const next = place(one);
      stroke(last, next);
      last = next;
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId === pointer) pointer = null;
    });
  }

  const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  canvas.addEventListener("keydown", (event) => {
    if (event.key in moves) {
      const from = { ...pen }, inside = (value) => Math.min(Math.max(value, 0), SIDE);
      pen.x = inside(pen.x + moves[event.key][0]);
      pen.y = inside(pen.y + moves[event.key][1]);
      if (pen.down) stroke(from, pen);
    } else if (event.key === " ") {
      pen.down = !pen.down;
      if (pen.down) stroke(pen, pen);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
    show();
  });

  function show() {
    cursor.style.left = `${(100 * pen.x) / SIDE}%`;
    cursor.style.top = `${(100 * pen.y) / SIDE}%`;
    cursor.classList.toggle("down", pen.down);
  }

  // Returns the grey values of the drawing and its margin, Uint8Array of PICTURE × PICTURE, row by row.
  function gray() {
    const { data } = context.getImageData(0, 0, SIDE, SIDE), values = new Uint8Array(PICTURE * PICTURE).fill(255);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) values[(y + MARGIN) * PICTURE + x + MARGIN] = data[4 * (y * SIDE + x)];
    }
    return values;
  }

  return { clear, gray };
}
