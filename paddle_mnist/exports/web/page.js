// The page: connects the pad with the nets that are stored in it.

import { createNet } from "./net.js";
import { createPad, PICTURE } from "./pad.js";
import { prepare } from "./prepare.js";

const TEXTS = {
  en: {
    title: "Draw a digit",
    hint: "Draw with a pen, a mouse or a finger. On the keyboard, arrows move the pen, the space bar puts it down and lifts it, Delete clears.",
    clear: "Clear",
    seen: "What the net sees",
    empty: "Nothing drawn yet",
  },
  zh: {
    title: "写一个数字",
    hint: "用笔、鼠标或手指书写。键盘：方向键移动笔，空格落笔或抬笔，Delete 清除。",
    clear: "清除",
    seen: "网络看到的图像",
    empty: "还没有书写",
  },
};

function start(models) {
  const language = navigator.language.startsWith("zh") ? "zh" : "en", texts = TEXTS[language];
  document.documentElement.lang = language;
  document.title = texts.title;
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = texts[element.dataset.text];
  const columns = models.map((model) => column(model, document.getElementById("answers")));
  const seen = document.getElementById("seen").getContext("2d");
  let asked = false;

  function update() {
    asked = false;
    const began = performance.now(), digit = prepare(pad.gray(), PICTURE, PICTURE);
    showSeen(seen, digit);
    const answers = models.map((model) => digit && model.run(digit));
    answers.forEach((answer, i) => columns[i](answer, texts));
    document.body.dataset.milliseconds = performance.now() - began;
    document.body.dataset.digits = digit ? answers.map((answer) => answer.digit).join() : "";
  }

  const pad = createPad(document.getElementById("pad"), document.getElementById("cursor"), () => {
    if (!asked) requestAnimationFrame(update);
    asked = true;
  });
  document.getElementById("clear").addEventListener("click", pad.clear);
  pad.clear();
  globalThis.paddleMnist.pad = pad;
}

function showSeen(context, digit) {
  const image = context.createImageData(28, 28);
  for (let i = 0; i < 28 * 28; i++) image.data.set([...Array(3).fill(digit ? digit[i] : 0), 255], 4 * i);
  context.putImageData(image, 0, 0);
}

// Adds a net's place on the page and returns the function that shows its answer there.
function column(model, parent) {
  const section = parent.appendChild(document.createElement("section"));
  const add = (name, text = "") => Object.assign(section.appendChild(document.createElement(name)), { textContent: text });
  add("h2", model.name);
  const digit = add("output"), detail = add("p"), bars = [];
  if (model.answer === "probabilities") {
    const list = add("ol");
    for (let i = 0; i < 10; i++) bars.push(list.appendChild(document.createElement("li")));
  }
  return (answer, texts) => {
    digit.textContent = answer ? answer.digit : "–";
    if (!answer) detail.textContent = texts.empty;
    else if (answer.probabilities) detail.textContent = `${(100 * answer.probabilities[answer.digit]).toFixed(1)} %`;
    else detail.textContent = answer.value.toFixed(2);
    bars.forEach((bar, i) => {
      bar.textContent = i;
      bar.style.setProperty("--share", answer ? answer.probabilities[i] : 0);
    });
  };
}

// Node.js, which verifies the page, has no document and gives the nets itself.
globalThis.paddleMnist = { createNet, prepare, load: (list) => list.map((one) => ({ ...one, run: createNet(one) })) };
if (typeof document !== "undefined") {
  const models = globalThis.paddleMnist.load(JSON.parse(document.getElementById("models").textContent));
  globalThis.paddleMnist.models = models;
  start(models);
}
