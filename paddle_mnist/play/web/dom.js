// Short ways to make and find elements.

export const byId = (id) => document.getElementById(id);

// Makes an element. Properties that are functions named on… listen to events; "aria-…", "role" and "data-…" are
// attributes; all others are set on the element. Children are elements or texts.
export function make(kind, properties = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function" && name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (/^(aria-|data-|role$|for$)/.test(name)) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Makes an SVG element with attributes.
export function makeSvg(kind, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Fills a select element with {id, name} and chooses one. Options that are the same stay, so that an open list stays open.
export function fillOptions(select, options, chosen) {
  const key = JSON.stringify(options.map(({ id, name }) => [id, name]));
  if (select.dataset.filled !== key) {
    select.replaceChildren(...options.map(({ id, name }) => make("option", { value: id }, name)));
    select.dataset.filled = key;
  }
  select.value = chosen ?? "";
}

// Tells a screen reader something, without moving the focus.
export function announce(text) {
  byId("told").textContent = text;
}

// Saves a file on the reader's computer.
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
