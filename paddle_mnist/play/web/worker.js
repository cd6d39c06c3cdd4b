// Runs nets beside the page, so that a large net does not hold up the pen.

import { createNet } from "/shared/net.js";

const nets = new Map();
let newest = 0;

const others = () => new Promise((resolve) => setTimeout(resolve)); // lets newer messages in

// Answers with each net in turn, until a newer drawing comes.
async function run({ number, ids, pixels }) {
  for (const id of ids) {
    if (number !== newest) return;
    if (nets.has(id)) postMessage({ kind: "answer", number, id, answer: nets.get(id).run(pixels) });
    await others();
  }
}

onmessage = ({ data }) => {
  if (data.kind === "load") nets.set(data.id, createNet(data.net));
  if (data.kind === "run") {
    newest = data.number;
    run(data);
  }
  if (data.kind === "trace") {
    postMessage({ kind: "trace", number: data.number, id: data.id, ...nets.get(data.id)?.trace(data.pixels) });
  }
};
