// The panel in which a net is trained: the form, and a view of the run as it trains.

import { ask, modelPath, post } from "./api.js";
import { emit, on } from "./bus.js";
import { drawChart } from "./chart.js";
import { current } from "./desk.js";
import { announce, byId, fillOptions, make } from "./dom.js";
import { fillForm } from "./form.js";
import { curvesOf, isEpoch, recordsOf } from "./histories.js";
import { t } from "./language.js";
import { onColours } from "./maps.js";
import { load, modelOf, models, refresh, trace } from "./nets.js";
import { shownTab } from "./tabs.js";
import { paintWeights } from "./weights.js";
import { createAnswer } from "/shared/answer.js";

let shown = null,
  requested = false,
  answerCard = null,
  training = { running: null, queued: [] };

// The run that is shown: the one chosen, the one in training, or the newest.
export const shownRun = () => {
  const runs = models().filter(({ kind }) => kind === "run");
  const newest = [...runs].sort((a, b) => (b.started ?? 0) - (a.started ?? 0))[0];
  return modelOf(shown) ?? modelOf(training.running) ?? newest ?? null;
};

export async function startTrain() {
  const form = make("form", { id: "training", className: "card", "aria-label": t("formTitle"), noValidate: true });
  const select = make("select", { id: "shown-run" });
  select.addEventListener("change", () => show(select.value));
  const view = make(
    "section",
    { id: "live", className: "card", "aria-label": t("liveTitle") },
    make(
      "div",
      { className: "row" },
      make("label", { for: "shown-run" }, t("run")),
      select,
      make("span", { id: "run-state", className: "badge" }),
    ),
    make("p", { id: "run-facts", className: "quiet" }),
    make(
      "div",
      { className: "row" },
      button("stop"),
      button("resume"),
      make("label", { for: "resume-epochs" }, t("resumeEpochs")),
      make("input", { id: "resume-epochs", type: "number", min: 1, step: 1 }),
    ),
    make("p", { id: "run-error", role: "alert" }),
    make(
      "div",
      { id: "live-charts" },
      make("figure", { id: "loss-chart", className: "chart" }),
      make("figure", { id: "accuracy-chart", className: "chart" }),
    ),
    make(
      "div",
      { id: "live-net" },
      make("div", { id: "live-answer" }),
      make(
        "figure",
        { id: "live-kernels", hidden: true },
        make("figcaption", { className: "quiet" }),
        make("canvas", { className: "pixels", role: "img" }),
      ),
    ),
  );
  byId("panel-train").append(make("div", { id: "train" }, form, view));
  on("models", update);
  on("history", (id) => id === shownRun()?.id && update());
  on("digits", update);
  on("tab", update);
  on("server", fromServer);
  addEventListener("resize", update);
  onColours(update);
  try {
    const { values } = fillForm(form, await ask("/api/training/form"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      begin(values());
    });
  } catch (error) {
    form.append(make("p", { role: "alert" }, error.message));
  }
}

function button(name) {
  return make("button", { id: `${name}-run`, type: "button", onclick: () => act(name) }, t(name));
}

async function begin(values) {
  byId("form-error").textContent = "";
  try {
    const { model, state, position } = await post("/api/training", values);
    await refresh();
    show(model);
    announce(state === "queued" ? t("queuedAt", { position }) : t("started", { name: modelOf(model)?.name ?? model }));
  } catch (error) {
    byId("form-error").textContent = error.message;
  }
}

async function act(name) {
  const run = shownRun(),
    epochs = Number(byId("resume-epochs").value) || null;
  byId("run-error").textContent = "";
  try {
    await post(modelPath(run.id, name), name === "resume" ? { epochs } : {});
    if (name === "stop") byId("run-state").textContent = t("state_stopping");
    await refresh();
  } catch (error) {
    byId("run-error").textContent = error.message;
  }
}

function show(id) {
  shown = id;
  emit("watch");
  update();
}

function fromServer({ kind, data }) {
  if (kind === "training") {
    if (data.running && data.running !== training.running && !shown) emit("watch");
    training = data;
    emit("watch");
  }
  if (kind === "weights" || kind === "state") refresh().catch(() => {});
  if (kind === "state" && data.message) byId("run-error").textContent = data.message;
  if (kind === "state" && data.model === shownRun()?.id) announce(t(`state_${data.state}`));
}

// Redraws once for all that comes before the next frame.
function update() {
  if (shownTab() !== "train" || requested) return;
  requested = true;
  requestAnimationFrame(() => {
    requested = false;
    draw();
  });
}

function draw() {
  const runs = models().filter(({ kind }) => kind === "run"),
    run = shownRun();
  byId("live").hidden = !run;
  if (!run) return;
  fillOptions(byId("shown-run"), runs, run.id);
  byId("run-state").textContent = t(`state_${run.state}`);
  byId("run-state").dataset.state = run.state;
  byId("stop-run").disabled = run.state !== "running" && run.state !== "queued";
  byId("resume-run").disabled = run.state === "running" || run.state === "queued";
  byId("resume-epochs").min = byId("resume-epochs").placeholder = run.settings?.epochs ?? 1;
  byId("run-facts").textContent = facts(run);
  drawCurves(run);
  drawNet(run);
}

function facts(run) {
  const epochs = recordsOf(run.id).filter(isEpoch),
    last = epochs[epochs.length - 1],
    known = [];
  if (run.settings) known.push(t("factEpochs", { done: epochs.length, epochs: run.settings.epochs }));
  if (last) known.push(t("factValid", { loss: last.valid_loss.toPrecision(3) }));
  if (Number.isFinite(last?.accuracy)) known.push(t("factAccuracy", { accuracy: (100 * last.accuracy).toFixed(2) }));
  return known.join(" · ");
}

function drawCurves(run) {
  const { loss, validLoss, accuracy } = curvesOf(run.id);
  drawChart(
    byId("loss-chart"),
    [
      { name: t("lossTrain"), points: loss, index: 0, kind: "faint" },
      { name: t("lossValid"), points: validLoss, index: 1, kind: "marked" },
    ],
    { title: t("loss"), x: t("epochs"), y: "" },
  );
  drawChart(byId("accuracy-chart"), [{ name: t("accuracyValid"), points: accuracy, index: 2, kind: "marked" }], {
    title: t("accuracy"),
    x: t("epochs"),
    y: "",
    percent: true,
  });
}

// Shows the first layer's weights, and what the net answers to the drawing by now.
async function drawNet(run) {
  byId("live-net").hidden = !run.trained;
  if (!run.trained) return;
  try {
    const net = await load(run.id),
      digit = current();
    const { answer } = await trace(run.id, digit ?? new Uint8Array(784));
    if (shownRun()?.id !== run.id) return;
    if (answerCard?.id !== run.id) {
      byId("live-answer").replaceChildren();
      answerCard = { id: run.id, show: createAnswer(byId("live-answer"), run.name, run.task === "regress" ? 1 : 10) };
    }
    answerCard.show(digit ? answer : null, t("nothing"));
    const node = net.graph.nodes.find(({ parameters }) => parameters.weight),
      figure = byId("live-kernels"),
      [caption, canvas] = figure.children;
    const shapes = Object.fromEntries([
      ["images", net.graph.inputShape],
      ...net.graph.nodes.map(({ name, shape }) => [name, shape]),
    ]);
    caption.textContent = t("weightsOf", { label: node.layer ?? node.parameters.weight.replace(/\.weight$/, "") });
    canvas.setAttribute("aria-label", caption.textContent);
    figure.hidden = false;
    paintWeights(canvas, net, shapes, node, Math.max(figure.clientWidth - 2, 200));
  } catch (error) {
    byId("run-error").textContent = error.message;
  }
}
