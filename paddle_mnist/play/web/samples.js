// The dialog in which a digit of the data is picked.

import { ask, decode, part } from "./api.js";
import { putPicture } from "./desk.js";
import { byId, make } from "./dom.js";
import { t } from "./language.js";
import { drawDigit } from "/shared/seen.js";

const COUNT = 60;

// Returns buttons with digits, and calls take(index, image) when one is pressed. {indices, labels, images} as the server sends them.
export function digitButtons({ indices, labels, images }, label, take) {
  const array = decode(images);
  return indices.map((index, i) => {
    const image = part(array, i),
      canvas = make("canvas", { width: 56, height: 56, "aria-hidden": "true" });
    drawDigit(canvas, image);
    const text = t("digitNumber", { label: labels?.[i] ?? label, index });
    return make(
      "button",
      { type: "button", className: "thumb", title: text, "aria-label": text, onclick: () => take(index, image) },
      canvas,
    );
  });
}

export function startSamples() {
  const list = make("div", { className: "thumbs" }),
    status = make("p", { className: "quiet", role: "status" });
  const label = make("select", { id: "picker-label" }, make("option", { value: "" }, t("anyDigit")));
  for (let digit = 0; digit < 10; digit++) label.append(make("option", { value: String(digit) }, String(digit)));
  const earlier = make("button", { type: "button" }, t("earlier")),
    later = make("button", { type: "button" }, t("later"));
  let start = 0;

  async function fill() {
    try {
      const found = await ask(
        `/api/digits?split=eval&start=${start}&count=${COUNT}${label.value && `&label=${label.value}`}`,
      );
      list.replaceChildren(
        ...digitButtons(found, "", (index, picture) => {
          putPicture({ picture, split: "eval", index });
          byId("picker").close();
        }),
      );
      const first = found.total ? start + 1 : 0,
        last = start + found.indices.length;
      status.textContent = t("range", { first, last, total: found.total });
      [earlier.disabled, later.disabled] = [start === 0, last >= found.total];
    } catch (error) {
      status.textContent = error.message;
    }
  }

  const move = (by) => () => {
    start = Math.max(0, start + by);
    fill();
  };
  earlier.addEventListener("click", move(-COUNT));
  later.addEventListener("click", move(COUNT));
  label.addEventListener("change", () => move(-start)());
  byId("picker").append(
    make(
      "div",
      { className: "row spread" },
      make("h2", { id: "picker-title" }, t("pickTitle")),
      make("button", { type: "button", onclick: () => byId("picker").close() }, t("close")),
    ),
    make(
      "div",
      { className: "row" },
      make("label", { for: "picker-label" }, t("digit")),
      label,
      earlier,
      later,
      status,
    ),
    list,
  );
  byId("digits").addEventListener("click", () => {
    byId("picker").showModal();
    fill();
  });
}
