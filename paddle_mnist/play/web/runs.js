// The panel that compares runs: their curves over each other, their settings, and which digits they confuse.

import { on, emit } from "./bus.js";
import { drawChart } from "./chart.js";
import { startConfusion } from "./confusion.js";
import { byId, make } from "./dom.js";
import { curvesOf } from "./histories.js";
import { t } from "./language.js";
import { modelOf, models } from "./nets.js";
import { setState, state } from "./state.js";
import { shownTab } from "./tabs.js";

const MOST = 8;
let requested = false,
  drawn = null;

const runs = () => models().filter(({ kind }) => kind === "run");

// The runs whose curves are shown: those that the address names, else the newest.
export function compared() {
  if (state.runs !== undefined)
    return state.runs
      .split(",")
      .filter((id) => modelOf(id))
      .slice(0, MOST);
  return [...runs()]
    .sort((a, b) => (b.started ?? 0) - (a.started ?? 0))
    .slice(0, 3)
    .map(({ id }) => id);
}

export function startRuns() {
  const scroll = make(
    "div",
    { className: "scroll", role: "region", tabIndex: 0, "aria-label": t("settingsTitle") },
    make("table", { id: "settings-table" }),
  );
  byId("panel-runs").append(
    make(
      "section",
      { className: "card" },
      make("h2", {}, t("curvesTitle")),
      make("figure", { id: "compared-chart", className: "chart" }),
      make("figure", { id: "compared-accuracy", className: "chart" }),
    ),
    make(
      "section",
      { className: "card" },
      make("h2", {}, t("settingsTitle")),
      make("p", { className: "quiet" }, t("settingsHint")),
      scroll,
    ),
    make("section", { id: "confusion", className: "card" }),
  );
  startConfusion(byId("confusion"));
  on("models", update);
  on("tab", update);
  on("address", update);
  addEventListener("resize", update);
  on("history", (id) => compared().includes(id) && update());
}

function update() {
  if (shownTab() !== "runs" || requested) return;
  requested = true;
  requestAnimationFrame(() => {
    requested = false;
    emit("watch");
    drawCurves();
    drawTable();
  });
}

function drawCurves() {
  const shown = compared().map((id, index) => ({ name: modelOf(id).name, index, ...curvesOf(id) }));
  const losses = shown.flatMap(({ name, index, loss, validLoss }) => [
    { name: t("trainOf", { name }), points: loss, index, kind: "faint" },
    { name: t("validOf", { name }), points: validLoss, index, kind: "marked" },
  ]);
  drawChart(byId("compared-chart"), losses, { title: t("loss"), x: t("epochs"), y: "" });
  const accuracies = shown.map(({ name, index, accuracy }) => ({ name, points: accuracy, index, kind: "marked" }));
  drawChart(byId("compared-accuracy"), accuracies, { title: t("accuracyValid"), x: t("epochs"), y: "", percent: true });
}

function drawTable() {
  const all = runs(),
    shown = compared(),
    focused = document.activeElement?.value;
  const key = JSON.stringify([
    shown,
    all.map(({ id, name, state, result, settings }) => [id, name, state, result, settings]),
  ]);
  if (key === drawn) return; // a table that is rebuilt under the pointer would lose its clicks
  drawn = key;
  const names = [...new Set(all.flatMap(({ settings }) => Object.keys(settings ?? {})))];
  const differs = new Set(
    names.filter(
      (name) => new Set(all.filter(({ id }) => shown.includes(id)).map(({ settings }) => settings?.[name])).size > 1,
    ),
  );
  const heads = [t("shown"), t("run"), t("state"), t("result"), ...names];
  const body = make("tbody");
  for (const run of all) {
    const box = make("input", {
      type: "checkbox",
      value: run.id,
      checked: shown.includes(run.id),
      "aria-label": t("showRun", { name: run.name }),
      onchange: toggle,
    });
    const row = make(
      "tr",
      {},
      make("td", {}, box),
      make("th", { scope: "row" }, run.name),
      make("td", {}, t(`state_${run.state}`)),
      make("td", {}, resultText(run)),
    );
    for (const name of names) {
      const value = run.settings?.[name] ?? "–";
      row.append(make("td", { className: differs.has(name) ? "differs" : "" }, String(value)));
    }
    body.append(row);
  }
  const head = make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text))));
  byId("settings-table").replaceChildren(head, body);
  if (focused) [...body.querySelectorAll("input")].find((box) => box.value === focused)?.focus();
}

function resultText({ result }) {
  if (!result) return "–";
  const mse = Number.isFinite(result.mse) ? `, mse ${result.mse.toPrecision(3)}` : "";
  return `${(100 * result.accuracy).toFixed(2)} %${mse}`;
}

function toggle() {
  const ids = [...byId("settings-table").querySelectorAll("input:checked")].map(({ value }) => value);
  setState({ runs: ids.slice(0, MOST).join(",") || "none" });
  update();
}
