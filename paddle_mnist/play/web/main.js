// Starts the page: each part starts itself, and hears of the others over the bus.

import { startAnswers } from "./answers.js";
import { emit, on } from "./bus.js";
import { current, padPicture, startDesk } from "./desk.js";
import { announce, byId, save } from "./dom.js";
import { watch } from "./events.js";
import "./histories.js";
import { startInside } from "./inside.js";
import { language, switchLanguage, t, translate } from "./language.js";
import { refresh } from "./nets.js";
import { compared, startRuns } from "./runs.js";
import { startSamples } from "./samples.js";
import { shownTab, startTabs } from "./tabs.js";
import { shownRun, startTrain } from "./train.js";
import { drawDigit } from "/shared/seen.js";

function startButtons() {
  byId("language").textContent = language === "zh" ? "English" : "中文";
  byId("language").lang = language === "zh" ? "en" : "zh-CN";
  byId("language").addEventListener("click", switchLanguage);
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment holds the page's state
    byId("panels").focus();
  });
  byId("link").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      announce(t("copied"));
      byId("link").textContent = t("copied");
      setTimeout(() => (byId("link").textContent = t("copyLink")), 2000);
    } catch {
      announce(t("copyFailed"));
    }
  });
  byId("save-drawing").addEventListener("click", () => saveCanvas(onPaper(padPicture()), "drawing.png"));
  byId("save-digit").addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 28;
    drawDigit(canvas, current());
    saveCanvas(canvas, "digit.png");
  });
}

const saveCanvas = (canvas, name) => canvas.toBlob((blob) => save(blob, name));

// The pad is transparent: saved, it gets the paper that is behind it on the page.
function onPaper(canvas) {
  const copy = document.createElement("canvas"),
    context = copy.getContext("2d");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  context.fillStyle = getComputedStyle(byId("frame")).backgroundColor;
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  return copy;
}

// Watches what is shown: the run in training, and the runs that are compared.
function watchShown() {
  const runs = shownTab() === "runs" ? compared() : [shownRun()?.id];
  watch([...new Set(runs.filter(Boolean))]);
}

translate();
document.title = t("title");
startTabs();
startButtons();
startDesk();
startAnswers();
startSamples();
startInside();
startRuns();
startTrain();
on("watch", watchShown);
on("tab", watchShown);
on("models", watchShown);
on("found", () => refresh().catch(() => {}));
watchShown();
refresh().catch(({ message }) => (byId("connection").textContent = message));
emit("tab", shownTab());
