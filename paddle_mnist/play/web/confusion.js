// Which digits a net takes for which others, and the digits behind each cell.

import { ask, modelPath } from "./api.js";
import { on } from "./bus.js";
import { putPicture } from "./desk.js";
import { fillOptions, make } from "./dom.js";
import { t } from "./language.js";
import { colourCell } from "./maps.js";
import { defaultModel, modelOf, trained } from "./nets.js";
import { digitButtons } from "./samples.js";
import { shownTab } from "./tabs.js";

const COUNT = 60;

export function startConfusion(place) {
  const select = make("select", { id: "confusion-net" }),
    note = make("p", { className: "quiet", role: "status" });
  const table = make("table", { id: "confusion-table" }),
    behind = make("div", { className: "thumbs" }),
    title = make("h3", { hidden: true });
  const scroll = make(
    "div",
    { className: "scroll", role: "region", tabIndex: 0, "aria-label": t("confusionTitle") },
    table,
  );
  let drawn = null;
  place.append(
    make("h2", {}, t("confusionTitle")),
    make("p", { className: "row" }, make("label", { for: "confusion-net" }, t("net")), select),
    note,
    scroll,
    title,
    behind,
  );

  function fill() {
    fillOptions(select, trained(), modelOf(select.value)?.trained ? select.value : defaultModel()?.id);
    draw();
  }

  async function draw() {
    const model = modelOf(select.value),
      key = model && `${model.id} ${model.weights}`;
    if (shownTab() !== "runs" || !model || key === drawn) return;
    drawn = key;
    note.textContent = t("measuring");
    title.hidden = true;
    behind.replaceChildren();
    try {
      const { matrix, samples, split } = await ask(modelPath(model.id, "confusion"));
      if (drawn !== key) return;
      const right = matrix.reduce((sum, row, i) => sum + row[i], 0);
      note.textContent = t("confusionNote", { right, samples, split });
      fillTable(model.id, matrix);
    } catch (error) {
      if (drawn === key) [note.textContent, drawn] = [error.message, null];
    }
  }

  function fillTable(id, matrix) {
    const head = make("tr", {}, make("td"), ...matrix.map((_, digit) => make("th", { scope: "col" }, String(digit))));
    const largest = Math.max(1, ...matrix.flatMap((row, i) => row.filter((_, j) => i !== j)));
    const rows = matrix.map((row, truth) => {
      const cells = row.map((count, read) => {
        const cell = make("td");
        if (!count) return cell;
        colourCell(cell, truth === read ? (0.25 * count) / Math.max(...row) : -count / largest);
        const label = t("cellLabel", { truth, read, count });
        cell.append(
          make(
            "button",
            { type: "button", "aria-label": label, title: label, onclick: () => showBehind(id, truth, read) },
            String(count),
          ),
        );
        return cell;
      });
      return make("tr", {}, make("th", { scope: "row" }, String(truth)), ...cells);
    });
    table.replaceChildren(make("caption", {}, t("confusionAxes")), make("thead", {}, head), make("tbody", {}, ...rows));
  }

  async function showBehind(id, truth, read) {
    try {
      title.hidden = false;
      const found = await ask(modelPath(id, `confusion/${truth}/${read}?start=0&count=${COUNT}`));
      title.textContent = t("behind", { truth, read, shown: found.indices.length, total: found.total });
      behind.replaceChildren(
        ...digitButtons(found, truth, (index, picture) => putPicture({ picture, split: "eval", index })),
      );
    } catch (error) {
      title.textContent = error.message;
    }
  }

  select.addEventListener("change", draw);
  on("models", fill);
  on("tab", draw);
}
