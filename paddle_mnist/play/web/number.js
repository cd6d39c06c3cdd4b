// What a net reads in a number: the number, and each digit with its reading.

import { choose } from "./desk.js";
import { make } from "./dom.js";
import { t } from "./language.js";
import { modelOf } from "./nets.js";
import { percent } from "/shared/answer.js";
import { drawDigit } from "/shared/seen.js";

// Returns a card with a net's answer to the digits, as the server gives it.
export function showNumber({ model, read, digits, values, probabilities, error }, pictures, current) {
  const card = make("section", { className: "card answer number-card" }, make("h2", {}, modelOf(model)?.name ?? model));
  if (error) return (card.append(make("p", { className: "quiet" }, error)), card);
  card.append(make("p", { className: "read" }, make("output", { className: "digit" }, read)));
  const list = make("ol", { className: "readings" });
  pictures.forEach((picture, i) => {
    const canvas = make("canvas", { width: 84, height: 84, "aria-hidden": "true" });
    drawDigit(canvas, picture);
    const detail = probabilities ? percent(Math.max(...probabilities[i])) : values[i].toFixed(2);
    const button = make(
      "button",
      {
        type: "button",
        "aria-pressed": i === current,
        "aria-label": t("readingOf", { place: i + 1, digit: digits[i] ?? t("noDigit"), detail }),
        onclick: () => choose(i),
      },
      canvas,
      make("strong", {}, String(digits[i] ?? "?")),
      make("span", { className: "quiet" }, detail),
    );
    list.append(make("li", {}, button));
  });
  card.append(list);
  return card;
}
