// Messages between the parts of the page, which do not know each other.

const listeners = new Map();

// Calls a function at every message of a kind.
export function on(kind, listener) {
  listeners.set(kind, [...(listeners.get(kind) ?? []), listener]);
}

// Sends a message to all who listen to its kind.
export function emit(kind, value) {
  for (const listener of listeners.get(kind) ?? []) listener(value);
}
