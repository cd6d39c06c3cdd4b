// What changes the answer (a saliency map), and the digits of the training set that are nearest in the last hidden layer.

import { decode, modelPath, newest, part, postBytes } from "./api.js";
import { on } from "./bus.js";
import { current } from "./desk.js";
import { make } from "./dom.js";
import { t } from "./language.js";
import { layoutOf, onColours, paintMaps } from "./maps.js";
import { modelOf } from "./nets.js";
import { shownTab } from "./tabs.js";
import { drawDigit } from "/shared/seen.js";

const PAUSE_MS = 300; // without a change, before the server is asked
const METHODS = ["gradient", "occlusion"];

export function startInfluence(place, netId) {
  const canvas = make("canvas", { className: "pixels", role: "img", "aria-label": t("saliency") });
  const method = make(
    "select",
    { id: "saliency-method" },
    ...METHODS.map((value) => make("option", { value }, t(`method_${value}`))),
  );
  const saliencyNote = make("p", { className: "quiet", role: "status" }),
    nearNote = make("p", { className: "quiet", role: "status" });
  const list = make("ol", { className: "neighbours" });
  place.append(
    make("h2", {}, t("influenceTitle")),
    make("div", { className: "row" }, make("label", { for: "saliency-method" }, t("method")), method),
    canvas,
    saliencyNote,
    make("h2", {}, t("nearTitle")),
    nearNote,
    list,
  );
  let values = null,
    timer = null,
    done = null;

  function paint() {
    canvas.hidden = !values;
    if (values) paintMaps(canvas, values, layoutOf({ count: 1, height: 28, width: 28 }, 224, { target: 224 }));
  }

  const saliency = newest(
    ({ id, digit }) => postBytes(modelPath(id, `saliency?method=${method.value}`), digit),
    (found) => {
      ({ values } = decode(found.values));
      paint();
      saliencyNote.textContent = t(`saliency_${found.method}`, { digit: found.digit ?? t("theNumber") });
    },
    (error) => {
      values = done = null;
      paint();
      saliencyNote.textContent = error.message;
    },
  );
  const neighbours = newest(
    ({ id, digit }) => {
      nearNote.textContent = t("searching");
      return postBytes(modelPath(id, "neighbours"), digit);
    },
    (found) => {
      const images = decode(found.images);
      nearNote.textContent = t("nearNote", {
        layer: found.layer_label ?? found.layer,
        features: found.features,
        searched: found.searched,
      });
      list.replaceChildren(...found.neighbours.map((one, i) => neighbour(one, part(images, i))));
    },
    (error) => {
      done = null;
      list.replaceChildren();
      nearNote.textContent = error.message;
    },
  );

  function update() {
    const digit = current(),
      id = netId();
    const key = digit && [id, modelOf(id)?.weights, method.value, shownTab(), digit.join()].join(" ");
    if (key && key === done) return; // it is shown, or on its way
    done = key;
    clearTimeout(timer);
    saliency.cancel();
    neighbours.cancel();
    if (digit && id && shownTab() === "inside") {
      timer = setTimeout(() => {
        saliency.request({ id, digit });
        neighbours.request({ id, digit });
      }, PAUSE_MS);
      return;
    }
    values = null;
    paint();
    list.replaceChildren();
    saliencyNote.textContent = nearNote.textContent = digit ? "" : t("insideBlank");
  }

  on("inside", update);
  method.addEventListener("change", update);
  onColours(paint);
}

function neighbour({ index, label, distance }, image) {
  const canvas = make("canvas", {
    width: 56,
    height: 56,
    role: "img",
    "aria-label": t("digitNumber", { label, index }),
  });
  drawDigit(canvas, image);
  return make(
    "li",
    {},
    canvas,
    make("strong", {}, String(label)),
    make("span", { className: "quiet" }, distance.toFixed(1)),
  );
}
