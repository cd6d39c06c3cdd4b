// The panel of answers: what every chosen net reads, side by side.

import { newest, postBytes } from "./api.js";
import { on } from "./bus.js";
import { digitsNow } from "./desk.js";
import { announce, byId, make } from "./dom.js";
import { t } from "./language.js";
import { answer, cancel, chosen, isLocal, load, modelOf, note, trained } from "./nets.js";
import { showNumber } from "./number.js";
import { setState } from "./state.js";
import { createAnswer } from "/shared/answer.js";

const REMOTE = {}; // stands for a net that is not loaded here
const MOST_KEPT = 8; // nets on a page that is kept
const QUIET_MS = 700; // without a change, before a screen reader hears the answers
const cards = new Map();
let shown = null,
  timer = null,
  heard = {};

export function startAnswers() {
  on("models", showModels);
  on("digits", update);
}

function showModels() {
  const ids = chosen();
  showChoices(ids);
  const key = JSON.stringify([ids, note()]);
  if (key === shown) return refreshCards(ids);
  shown = key;
  const kept = ids.filter(isLocal).slice(0, MOST_KEPT);
  byId("keep").href = `/api/page?models=${kept.map(encodeURIComponent).join(",")}`;
  byId("keep").hidden = !kept.length;
  build(ids);
}

// Shows a checkbox for each net; those that are there stay, with the focus.
function showChoices(ids) {
  const able = trained(),
    boxes = () => [...byId("which").querySelectorAll("input")];
  if (
    able.map(({ id }) => id).join() !==
    boxes()
      .map(({ value }) => value)
      .join()
  ) {
    const choose = () => {
      const checked = boxes().filter((box) => box.checked);
      setState({ nets: checked.map(({ value }) => value).join(",") });
      showModels();
    };
    const choices = able.map(({ id, name }) =>
      make("label", { className: "chip" }, make("input", { type: "checkbox", value: id, onchange: choose }), name),
    );
    byId("which").replaceChildren(...choices);
  }
  for (const box of boxes()) box.checked = ids.includes(box.value);
}

// Makes a card for each net, keeping those that are there.
function build(ids) {
  for (const id of [...cards.keys()]) if (!ids.includes(id)) cards.delete(id);
  byId("answers").replaceChildren(...ids.map((id) => (cards.get(id) ?? makeCard(id)).place));
  if (!ids.length) byId("answers").append(make("p", { className: "card" }, note() ?? t("noNets")));
  refreshCards(ids);
  update(digitsNow());
}

// Lets each card answer with the newest weights of its net.
function refreshCards(ids) {
  for (const id of ids) {
    const card = cards.get(id);
    if (!isLocal(id)) ready(card, REMOTE);
    else {
      load(id).then(
        (net) => ready(card, net),
        (error) => card.fail(error.message),
      );
    }
  }
}

function ready(card, net) {
  if (card.net === net) return;
  card.net = net;
  if (!card.show) {
    card.place.replaceChildren();
    const { name, task } = modelOf(card.id);
    card.show = createAnswer(card.place, name, task === "regress" ? 1 : 10);
  }
  update(digitsNow());
}

function makeCard(id) {
  const text = make("p", { className: "quiet" }, t("loading"));
  const place = make(
    "div",
    { className: "slot" },
    make("section", { className: "card answer" }, make("h2", {}, modelOf(id).name), text),
  );
  const card = { id, place, fail: (message) => (text.textContent = message) };
  cards.set(id, card);
  return card;
}

function update({ digits, current, reason, answer: numbers, isNumber }) {
  const digit = digits[current],
    isRead = Boolean(isNumber && numbers && digits.length);
  cancel();
  remote.cancel();
  clearTimeout(timer);
  heard = {};
  showVerdict(reason);
  byId("answers").classList.toggle("reads-number", isRead);
  if (isRead) return showNumbers(numbers, digits, current);
  for (const card of cards.values()) card.number?.remove();
  if (!digit) {
    for (const { show } of cards.values()) show?.(null, reason ? "" : t("nothing"));
    if (reason) say(() => reason);
    return;
  }
  const ids = [...cards.keys()].filter((id) => cards.get(id).show);
  answer(ids.filter(isLocal), digit, showOne);
  const others = ids.filter((id) => !isLocal(id));
  if (others.length) remote.request({ ids: others, digit });
  say(() =>
    Object.entries(heard)
      .map(([id, read]) => `${modelOf(id)?.name}: ${read}`)
      .join("; "),
  );
}

function showOne(id, one) {
  cards.get(id)?.show(one, t("noDigit"));
  heard[id] = one.digit ?? t("noDigit");
}

function showVerdict(sentence) {
  byId("verdict").hidden = !sentence;
  byId("verdict").textContent = sentence ?? "";
}

// Nets that only the server can run.
const remote = newest(
  ({ ids, digit }) => postBytes(`/api/answers?kind=prepared&models=${ids.map(encodeURIComponent).join(",")}`, digit),
  ({ answers }) => {
    for (const { model, digits, values, probabilities, error } of answers) {
      if (error) cards.get(model)?.show(null, error);
      else showOne(model, { digit: digits[0], value: values[0], probabilities: probabilities?.[0], outputs: [] });
      if (digits[0] === null) showVerdict(t("refusedBy", { name: modelOf(model).name }));
    }
  },
  (error) => announce(error.message),
);

function showNumbers(numbers, digits, current) {
  for (const one of numbers.answers) {
    const card = cards.get(one.model);
    if (!card) continue;
    card.number?.remove();
    card.number = showNumber(one, digits, current);
    card.place.append(card.number);
  }
  say(() => numbers.answers.map((one) => `${modelOf(one.model)?.name}: ${one.read ?? one.error}`).join("; "));
}

function say(text) {
  timer = setTimeout(() => announce(text()), QUIET_MS);
}
