// Requests to the server.

import { t } from "./language.js";

const LIMIT_MS = 60_000;

// Decodes an array as the server sends it: {shape, values}.
export function decode({ shape, dtype, data }) {
  const text = atob(data),
    bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i); // ten times as fast as Uint8Array.from
  const kinds = { float32: Float32Array, uint8: Uint8Array, int32: Int32Array };
  return { shape, values: new kinds[dtype](bytes.buffer) };
}

// Returns the part of an array at an index of its first axis.
export function part({ shape, values }, index) {
  const size = values.length / shape[0];
  return values.subarray(index * size, (index + 1) * size);
}

// Asks the server and returns its JSON. Throws an Error with a sentence that can be shown.
export async function ask(path, { body, type = "application/json", signal } = {}) {
  const signals = [AbortSignal.timeout(LIMIT_MS), ...(signal ? [signal] : [])];
  const options = { signal: AbortSignal.any(signals) };
  if (body !== undefined) Object.assign(options, { method: "POST", body, headers: { "Content-Type": type } });
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(t("unreachable"), { cause: error });
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? t("refused", { status: response.status }));
  return answer;
}

export const post = (path, value = {}) => ask(path, { body: JSON.stringify(value) });
export const postBytes = (path, bytes, options = {}) =>
  ask(path, { body: bytes, type: "application/octet-stream", ...options });
export const modelPath = (id, rest) => `/api/models/${encodeURIComponent(id)}/${rest}`;

// Wraps a function that takes time, so that it works on one thing at a time and always on the newest: what comes while
// it works waits, and replaces what waits already. A result is handed on only if nothing newer has come.
export function newest(work, show, showError) {
  let number = 0,
    busy = false,
    waiting = null;
  async function next() {
    const { mine, value } = waiting;
    [busy, waiting] = [true, null];
    try {
      const result = await work(value);
      if (mine === number) show(result);
    } catch (error) {
      if (mine === number) showError(error);
    }
    busy = false;
    if (waiting) next();
  }
  return {
    request(value) {
      waiting = { mine: ++number, value };
      if (!busy) next();
    },
    cancel() {
      number++;
      waiting = null;
    },
  };
}
