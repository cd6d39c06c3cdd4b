// The exported page: connects the pad with the nets that are stored in it.

import { createAnswer } from "./answer.js";
import { createNet } from "./net.js";
import { createPad } from "./pad.js";
import { listenForPhotos, readPhoto, showPhoto } from "./photo.js";
import { prepare } from "./prepare.js";
import { drawSeen } from "./seen.js";

const TEXTS = {
  en: {
    title: "Draw a digit",
    pad: "Drawing pad",
    hint: "Draw with a pen, a mouse or a finger. On the keyboard, arrows move the pen, the space bar puts it down and lifts it, Delete clears. A photo of one digit can be dropped or pasted.",
    clear: "Clear",
    undo: "Undo",
    photo: "Photo…",
    seen: "What the net sees",
    empty: "Nothing drawn yet",
    none: "No digit found in the photo",
    unreadable: "This photo cannot be read",
  },
  zh: {
    title: "写一个数字",
    pad: "手写板",
    hint: "用笔、鼠标或手指书写。键盘：方向键移动笔，空格落笔或抬笔，Delete 清除。也可以拖入或粘贴一张数字照片。",
    clear: "清除",
    undo: "撤销",
    photo: "照片…",
    seen: "网络看到的图像",
    empty: "还没有书写",
    none: "照片中没有找到数字",
    unreadable: "无法读取这张照片",
  },
};
const QUIET_MS = 700; // without a change, before a screen reader hears the answers

function start(models) {
  const language = navigator.language.startsWith("zh") ? "zh" : "en", texts = TEXTS[language];
  const byId = (id) => document.getElementById(id);
  document.documentElement.lang = language;
  document.title = texts.title;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text];
  byId("pad").setAttribute("aria-label", texts.pad);
  byId("seen").setAttribute("aria-label", texts.seen);
  const shows = models.map(({ name, graph }) => createAnswer(byId("answers"), name, graph.nodes[graph.nodes.length - 1].shape[0]));
  let requested = false, began = 0, timer = null, photo = null;

  function request() {
    if (!requested) [requested, began] = [requestAnimationFrame(update), performance.now()];
  }

  function update() {
    requested = false;
    const { gray, width, height } = photo ?? pad.picture(), digit = prepare(gray, width, height);
    drawSeen(byId("seen"), digit);
    const answers = models.map((model) => digit && model.run(digit));
    answers.forEach((answer, i) => shows[i](answer, photo ? texts.none : texts.empty));
    document.body.dataset.digits = digit ? answers.map((answer) => answer.digit).join() : "";
    document.body.dataset.milliseconds = performance.now() - began;
    clearTimeout(timer);
    timer = setTimeout(() => {
      const told = answers.map((answer, i) => `${models[i].name}: ${answer?.digit}`).join("; ");
      byId("told").textContent = digit ? told : photo ? texts.none : texts.empty;
    }, QUIET_MS);
  }

  function onChange() {
    if (photo) [photo] = [null, pad.redraw()];
    request();
  }

  async function onPhoto(file) {
    pad.clear();
    try {
      photo = await readPhoto(file);
    } catch {
      byId("told").textContent = texts.unreadable;
      return;
    }
    showPhoto(byId("pad"), photo.bitmap);
    request();
  }

  const pad = createPad(byId("pad"), byId("cursor"), { onChange });
  byId("clear").addEventListener("click", pad.clear);
  byId("undo").addEventListener("click", pad.undo);
  byId("photo").addEventListener("click", () => byId("file").click());
  listenForPhotos(document.body, byId("file"), onPhoto);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => photo || pad.redraw());
  globalThis.paddleMnist.pad = pad;
}

// Node.js, which verifies the page, has no document and gives the nets itself.
globalThis.paddleMnist = { createNet, prepare, load: (list) => list.map((one) => ({ ...one, ...createNet(one) })) };
if (typeof document !== "undefined") {
  const models = globalThis.paddleMnist.load(JSON.parse(document.getElementById("models").textContent));
  globalThis.paddleMnist.models = models;
  start(models);
}
