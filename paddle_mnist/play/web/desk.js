// The desk: what is drawn, dropped or picked, and the pictures of digits that the nets get from it.
//
// Emits "digits" with {digits, current, reason} after every change: the 28 × 28 pictures (none if there is no digit), the
// index of the one that is looked at, and a sentence where there is none.

import { ask, decode, newest, postBytes } from "./api.js";
import { emit, on } from "./bus.js";
import { decodePicture, decodeStrokes, encodePicture, encodeStrokes } from "./coding.js";
import { announce, byId } from "./dom.js";
import { t } from "./language.js";
import { showBoxes } from "./boxes.js";
import { chosen } from "./nets.js";
import { setState, state } from "./state.js";
import { createPad, SIDE } from "/shared/pad.js";
import { listenForPhotos, showPhoto } from "/shared/photo.js";
import { prepare } from "/shared/prepare.js";
import { drawDigit, drawSeen, measure } from "/shared/seen.js";

const SHARP = 4,
  NUMBER_WIDTH = 3; // pixels shown for one of the pad; a pad for numbers, in widths of one for a digit
const MAX_PHOTO = 20 * 2 ** 20; // bytes
const SETTLED_MS = 250; // without a change, before the address is written

// What was put on the desk instead of a drawing: {picture} (28 × 28, with split and index of a test digit), or
// {file, bitmap} of a photo; otherwise null.
let put = null;
let asked = ""; // the nets that the server was asked for last
let isNumber = false,
  requested = false,
  timer = null,
  pad = null;
let result = { digits: [], current: 0, reason: null };

export const current = () => result.digits[result.current] ?? null;
export const digitsNow = () => result;

export function startDesk() {
  pad = createPad(byId("pad"), byId("cursor"), { onChange });
  listenForPhotos(document.body, byId("file"), putPhoto);
  byId("undo").addEventListener("click", () => (put ? restore() : pad.undo()));
  byId("clear").addEventListener("click", pad.clear);
  byId("photo").addEventListener("click", () => byId("file").click());
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select");
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || isTyping || event.defaultPrevented) return;
    event.preventDefault();
    byId("undo").click();
  });
  for (const radio of document.querySelectorAll("[name=mode]"))
    radio.addEventListener("change", () => setMode(radio.value));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (put ? showPut() : pad.redraw()));
  on("address", open);
  on("models", () => (isNumber || put?.file) && asked !== chosen().map(encodeURIComponent).join(",") && update());
  open();
}

// Shows what the address says.
function open() {
  const { mode, drawing, digit, picture } = state;
  setMode(mode === "number" ? "number" : "digit");
  if (/^(train|valid|eval)-\d{1,6}$/.test(digit ?? "")) putTestDigit(...digit.split("-"));
  else if (picture && decodePicture(picture)) putPicture({ picture: decodePicture(picture) });
  else pad.load(decodeStrokes(drawing ?? ""));
}

function setMode(mode) {
  isNumber = mode === "number";
  document.body.classList.toggle("number", isNumber);
  document.querySelector(`[name=mode][value=${mode}]`).checked = true;
  const width = isNumber ? NUMBER_WIDTH * SIDE : SIDE,
    photo = put?.file ? put : null;
  [byId("pad").width, byId("pad").height] = [SHARP * width, SHARP * SIDE];
  pad.resize(width, SIDE);
  if (photo) putPhotoAgain(photo);
}

// The drawing has changed, by the pen or by a button.
function onChange() {
  if (put) [put] = [null, pad?.redraw()];
  update();
}

function update() {
  clearTimeout(timer);
  timer = setTimeout(remember, SETTLED_MS);
  byId("invitation").hidden = Boolean(put) || Boolean(pad?.strokes().length);
  if (!requested) requestAnimationFrame(compute);
  requested = true;
}

function compute() {
  requested = false;
  byId("invitation").hidden = Boolean(put) || pad.strokes().length > 0;
  if (put?.file) return server.request(put.file);
  server.cancel();
  if (put) return show({ digits: [put.picture], reason: null });
  if (!pad.strokes().length) return show({ digits: [], reason: null });
  const picture = pad.picture();
  if (isNumber) return server.request(picture);
  const digit = prepare(picture.gray, picture.width, picture.height);
  show({ digits: digit ? [digit] : [], reason: digit ? null : t("noDigit") });
}

// The server finds the digits of numbers and photos.
const server = newest(
  (source) => {
    asked = chosen().map(encodeURIComponent).join(",");
    const query = `kind=${isNumber ? "number" : "digit"}&models=${asked}`;
    if (!source.gray) return ask(`/api/answers?${query}`, { body: source, type: source.type });
    return postBytes(`/api/answers?${query}&width=${source.width}&height=${source.height}`, source.gray);
  },
  (answer) => {
    const digits = answer.digits.map(({ image }) => decode(image).values);
    show({ digits: answer.empty ? [] : digits, reason: answer.empty ? (answer.reason ?? t("noDigit")) : null, answer });
  },
  (error) => show({ digits: [], reason: error.message }),
);

function show({ digits, reason, answer = null }) {
  const same =
    digits.length === result.digits.length &&
    digits.every((one, i) => one.every((value, j) => value === result.digits[i][j]));
  const index = same ? result.current : 0,
    isNews = !same || isNumber || reason !== result.reason;
  result = { digits, current: index, reason, answer: isNumber ? answer : null, isNumber };
  showBoxes(byId("boxes"), isNumber || put?.file ? answer : null, pad, put?.file ? byId("pad") : null);
  showCurrent();
  if (put?.file) remember();
  if (isNews) emit("digits", result);
}

// Chooses the digit of a number that is looked at.
export function choose(index) {
  result.current = index;
  showCurrent();
  emit("digits", result);
}

function showCurrent() {
  const digit = current(),
    marks = digit && measure(digit);
  drawSeen(byId("seen"), digit);
  byId("facts").textContent = marks
    ? t("facts", {
        width: marks.right - marks.left,
        height: marks.bottom - marks.top,
        x: marks.x.toFixed(1),
        y: marks.y.toFixed(1),
      })
    : t("factsEmpty");
  byId("save-digit").disabled = !digit;
}

// Shows a digit of the data as it is.
export async function putTestDigit(split, index) {
  try {
    const { images } = await ask(`/api/digits?split=${split}&start=${index}&count=1`);
    putPicture({ picture: decode(images).values, split, index });
  } catch (error) {
    announce(error.message);
  }
}

export function putPicture(picture) {
  if (isNumber) setMode("digit");
  pad.clear();
  put = picture;
  showPut();
  update();
}

async function putPhoto(file) {
  if (file.size > MAX_PHOTO) return announceReason(t("photoTooLarge"));
  try {
    putPhotoAgain({ file, bitmap: await createImageBitmap(file) });
  } catch {
    announceReason(t("photoUnreadable"));
  }
}

function putPhotoAgain(photo) {
  pad.clear();
  put = photo;
  showPut();
  update();
}

function announceReason(reason) {
  pad.clear();
  requestAnimationFrame(() => show({ digits: [], reason }));
}

function showPut() {
  if (put.file) showPhoto(byId("pad"), put.bitmap);
  else drawDigit(byId("pad"), put.picture);
}

// Takes what was put on the desk away again.
function restore() {
  pad.load(pad.strokes());
}

// Writes what is on the desk into the address. A photo itself does not fit there: its digit does.
function remember() {
  const digit = put?.split ? `${put.split}-${put.index}` : null;
  const photo = put && !digit && current() ? encodePicture(current()) : null;
  const drawing = put ? null : encodeStrokes(pad.strokes());
  setState({ mode: isNumber ? "number" : null, digit, picture: photo, drawing });
}

export const padPicture = () => byId("pad");
