// Shows what a net answers: ten bars for a classifier, a mark on a number line for a net that regresses.

// Adds a net's answer to an element. Returns the function that shows one: from an answer as net.js gives it, or null for
// none, and the sentence to show where there is none. A net with ten outputs and no probabilities gets bars of outputs.
export function createAnswer(parent, name, outputs) {
  const card = add(parent, "section", "card answer");
  add(card, "h2", "", name);
  const line = add(card, "p", "reading"), digit = add(line, "output", "digit"), detail = add(line, "span", "detail");
  const draw = outputs > 1 ? bars(card) : numberLine(card);
  return (answer, sentence = "") => {
    card.classList.toggle("blank", !answer || answer.digit === null);
    digit.textContent = answer?.digit ?? "–";
    detail.textContent = (answer && detailOf(answer)) ?? sentence;
    draw(answer);
  };
}

// A net that may refuse a picture answers with the digit null.
function detailOf({ digit, probabilities, value }) {
  if (digit === null) return null;
  return probabilities ? percent(probabilities[digit]) : value.toFixed(2);
}

export const percent = (share) => `${(100 * share).toFixed(1)} %`;

function add(parent, kind, className = "", text = "") {
  return Object.assign(parent.appendChild(document.createElement(kind)), { className, textContent: text });
}

function bars(card) {
  const list = add(card, "ol", "bars");
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const row = add(list, "li");
    add(row, "span", "name", digit);
    const bar = add(add(row, "span", "track"), "span", "bar");
    return { row, bar, share: add(row, "span", "share") };
  });
  return (answer) => {
    rows.forEach(({ row, bar, share }, digit) => {
      const value = answer ? (answer.probabilities ?? answer.outputs)[digit] : 0;
      row.classList.toggle("best", answer?.digit === digit);
      bar.style.setProperty("--share", Math.min(Math.max(value, 0), 1));
      share.textContent = !answer ? "" : answer.probabilities ? percent(value) : value.toFixed(3);
    });
  };
}

// The line reaches from -1 to 10; a mark beyond it stands at its end.
function numberLine(card) {
  const line = add(card, "div", "number-line"), mark = add(line, "span", "mark");
  const place = (value) => `${(100 * (Math.min(Math.max(value, -0.6), 9.6) + 1)) / 11}%`;
  for (let digit = 0; digit < 10; digit++) add(line, "span", "tick", digit).style.left = place(digit);
  return (answer) => {
    mark.hidden = !answer;
    if (answer) mark.style.left = place(answer.value);
  };
}
