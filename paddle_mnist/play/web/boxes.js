// Boxes around the digits of a number or a photo, and the cuts that were weighed, over the pad.

import { makeSvg } from "./dom.js";

// Draws what an answer of the server found, or nothing for null. A drawing is mapped by its pad, a photo by the canvas
// that it is shown in, whole and centred.
export function showBoxes(svg, answer, pad, photo) {
  svg.replaceChildren();
  if (!answer || answer.empty) return;
  const { width, height } = answer.picture;
  let view = [...pad.toPad(0, 0).map((value) => -value), ...pad.size()];
  if (photo) {
    const scale = Math.max(width / photo.width, height / photo.height);
    const [w, h] = [photo.width * scale, photo.height * scale];
    view = [(width - w) / 2, (height - h) / 2, w, h];
  }
  svg.setAttribute("viewBox", view.join(" "));
  const unit = view[3] / 168;
  for (const { candidates, chosen } of answer.cuts ?? []) {
    candidates.forEach((cut, i) => i === chosen || drawCut(svg, cut, unit, "weighed"));
    if (chosen !== null && candidates[chosen]) drawCut(svg, candidates[chosen], unit, "chosen");
  }
  answer.digits.forEach(({ box: [left, top, right, bottom] }, i) => {
    const gap = 2 * unit,
      [x, y, width, height] = [left - gap, top - gap, right - left + 2 * gap, bottom - top + 2 * gap];
    svg.append(makeSvg("rect", { class: "box", x, y, width, height, rx: 3 * unit, "stroke-width": 1.6 * unit }));
    const digit = answer.answers[0]?.digits?.[i],
      above = top > view[1] + 18 * unit;
    const place = {
      x: x + width / 2,
      y: above ? y - 3 * unit : y + height + 14 * unit,
      "font-size": 14 * unit,
      "text-anchor": "middle",
    };
    svg.append(makeSvg("text", place, String(digit ?? "")));
  });
}

// A cut is drawn between the two parts, as a line across them.
function drawCut(svg, { left, right }, unit, kind) {
  const top = Math.min(left[1], right[1]),
    bottom = Math.max(left[3], right[3]);
  const x = (left[2] + right[0]) / 2;
  svg.append(
    makeSvg("line", {
      class: `cut ${kind}`,
      x1: x,
      x2: x,
      y1: top,
      y2: bottom,
      "stroke-width": (kind === "chosen" ? 2 : 1) * unit,
    }),
  );
}
