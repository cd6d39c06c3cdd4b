// The form with everything that a training can be told, from the server's own description.

import { make } from "./dom.js";
import { maybe, t } from "./language.js";

const FIRST = ["net", "task", "data", "epochs", "batch_size", "lr", "optimizer", "seed"]; // the others are folded away

// Fills a form. Returns {values}: a function that gives what differs from the defaults of the chosen net and task.
export function fillForm(form, description) {
  const inputs = new Map(),
    touched = new Set();
  const first = make("div", { className: "fields" }),
    more = make("div", { className: "fields" });
  const fields = [...description.fields].sort((a, b) => rank(a) - rank(b));
  for (const field of fields) {
    const { place, input } = makeField(field);
    inputs.set(field.name, input);
    (FIRST.includes(field.name) ? first : more).append(place);
    input.addEventListener("change", () => {
      touched.add(field.name);
      if (field.name === "net" || field.name === "task") setDefaults();
    });
  }
  const start = make("button", { type: "submit", className: "primary" }, t("start"));
  form.replaceChildren(
    first,
    make("details", {}, make("summary", {}, t("moreSettings")), more),
    make("div", { className: "row" }, start, make("p", { id: "form-error", role: "alert" })),
  );

  const chosen = () => {
    const net = inputs.get("net").value,
      { tasks } = description.nets[net],
      task = inputs.get("task").value;
    return { net, task: tasks.includes(task) ? task : tasks[0], tasks };
  };

  function defaultOf(name) {
    const { net, task } = chosen();
    return { ...description.options, data: "auto", ...description.defaults[net][task] }[name];
  }

  function setDefaults() {
    const { task, tasks } = chosen(),
      select = inputs.get("task");
    for (const option of select.options) option.disabled = !tasks.includes(option.value);
    select.value = task;
    for (const field of fields) {
      if (touched.has(field.name) || field.name === "net" || field.name === "task") continue;
      write(inputs.get(field.name), field, defaultOf(field.name));
    }
  }

  inputs.get("net").value = "cnn" in description.nets ? "cnn" : Object.keys(description.nets)[0];
  inputs.get("task").value = "classify";
  setDefaults();
  return {
    values() {
      const { net, task } = chosen(),
        changed = { net, task };
      for (const field of fields) {
        const value = readValue(inputs.get(field.name), field);
        // Left out, the epochs would depend on the size of the data: what the form says holds.
        if (value !== null && (value !== defaultOf(field.name) || field.name === "epochs")) changed[field.name] = value;
      }
      return changed;
    },
  };
}

const rank = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);

function makeField({ name, type, choices, meaning }) {
  const id = `field-${name}`,
    input = choices
      ? make(
          "select",
          { id },
          ...choices.map((value) => make("option", { value: String(value) }, maybe(`choice_${value}`, String(value)))),
        )
      : make("input", { id, type: type === "boolean" ? "checkbox" : type === "text" ? "text" : "number" });
  if (type === "integer") input.step = "1";
  if (type === "number") input.step = "any";
  input.setAttribute("aria-describedby", `${id}-meaning`);
  const label = make("label", { for: id }, maybe(`field_${name}`, name), " ", make("code", {}, name));
  return {
    input,
    place: make(
      "div",
      { className: "field" },
      label,
      input,
      make("p", { id: `${id}-meaning`, className: "quiet" }, maybe(`meaning_${name}`, meaning)),
    ),
  };
}

function write(input, { type }, value) {
  if (type === "boolean") input.checked = Boolean(value);
  else input.value = value ?? "";
}

function readValue(input, { type }) {
  if (type === "boolean") return input.checked;
  if (input.value === "") return null;
  return type === "number" || type === "integer" ? Number(input.value) : input.value;
}
