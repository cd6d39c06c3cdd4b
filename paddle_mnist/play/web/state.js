// What the address holds: the tab, the net, the layer and unit, the drawing. A link restores the same page.

import { emit } from "./bus.js";

const read = () => new URLSearchParams(location.hash.slice(1));
const NAMES = ["tab", "net", "nets", "layer", "unit", "mode", "drawing", "digit", "picture", "runs", "language"];

// The state as plain texts; what is absent is undefined.
export const state = Object.fromEntries(read());

// Changes the state and the address. An empty value is removed.
export function setState(changes) {
  Object.assign(state, changes);
  const kept = NAMES.filter((name) => state[name] !== undefined && state[name] !== null && state[name] !== "");
  for (const name of Object.keys(state)) if (!kept.includes(name)) delete state[name];
  const hash = new URLSearchParams(kept.map((name) => [name, state[name]])).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// A link that is followed, or an address that is edited, while the page is open.
addEventListener("hashchange", () => {
  for (const name of Object.keys(state)) delete state[name];
  Object.assign(state, Object.fromEntries(read()));
  emit("address");
});
