// The records of the runs that are watched, as the server sends them.

import { emit, on } from "./bus.js";
import { modelOf } from "./nets.js";

const histories = new Map();

export const recordsOf = (id) => histories.get(id) ?? [];

on("server", ({ kind, data }) => {
  if (kind !== "history") return;
  const before = data.from === 0 ? [] : recordsOf(data.model);
  histories.set(data.model, [...before, ...data.records]);
  emit("history", data.model);
});

export const isEpoch = (record) => record.valid_loss !== undefined;

// Returns the points of a run's curves, with epochs along x: {loss, validLoss, accuracy}, each a list of [x, y].
export function curvesOf(id) {
  const records = recordsOf(id),
    epochs = records.filter(isEpoch),
    steps = records.filter((record) => !isEpoch(record));
  const perEpoch = epochs.length ? epochs[0].step / (epochs[0].epoch + 1) : guessSteps(id);
  const points = (list, name, x) =>
    list.map((record) => [x(record), record[name]]).filter(([, y]) => Number.isFinite(y));
  const atEpoch = ({ epoch }) => epoch + 1;
  return {
    loss: points(steps, "loss", ({ step }) => step / perEpoch),
    validLoss: points(epochs, "valid_loss", atEpoch),
    accuracy: points(epochs, "accuracy", atEpoch),
  };
}

function guessSteps(id) {
  const { settings, data } = modelOf(id) ?? {},
    [train = 1, valid = 0] = data?.samples ?? [];
  return Math.max(
    1,
    Math.ceil((train + (settings?.train_on === "train+valid" ? valid : 0)) / (settings?.batch_size ?? 1)),
  );
}
