// What the server tells by itself: new models, losses, weights, states. Says calmly when the server is lost and found again.

import { emit } from "./bus.js";
import { byId } from "./dom.js";
import { t } from "./language.js";

const KINDS = ["models", "training", "history", "weights", "state"];
const RETRY_MS = 1500,
  MOST_RUNS = 8,
  FOUND_MS = 4000;
let source = null,
  watched = null,
  timer = null,
  isLost = false;

// Emits "server" with {kind, data} for every event about some runs, and reopens what was closed.
export function watch(ids) {
  const runs = ids.slice(0, MOST_RUNS);
  if (watched && runs.join() === watched.join() && source.readyState !== EventSource.CLOSED) return;
  watched = runs;
  open();
}

function open() {
  clearTimeout(timer);
  source?.close();
  source = new EventSource(`/api/events?runs=${watched.map(encodeURIComponent).join(",")}`);
  for (const kind of KINDS)
    source.addEventListener(kind, ({ data }) => emit("server", { kind, data: JSON.parse(data) }));
  source.addEventListener("open", found);
  source.addEventListener("error", lost);
}

function lost() {
  if (!isLost) byId("connection").textContent = t("lost");
  isLost = true;
  document.body.classList.add("lost");
  // A browser tries again by itself after a broken connection, but not after an error status.
  clearTimeout(timer);
  timer = setTimeout(open, RETRY_MS);
}

function found() {
  clearTimeout(timer);
  if (!isLost) return;
  isLost = false;
  document.body.classList.remove("lost");
  byId("connection").textContent = t("found");
  setTimeout(() => isLost || (byId("connection").textContent = ""), FOUND_MS);
  emit("found");
}

addEventListener("pagehide", () => {
  clearTimeout(timer);
  source?.close();
});
addEventListener("pageshow", (event) => event.persisted && open());
