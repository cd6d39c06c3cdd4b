// The language of the page: English or Chinese.

import en from "./texts/en.js";
import zh from "./texts/zh.js";
import { state, setState } from "./state.js";

const remembered = () => {
  try {
    return localStorage.getItem("language");
  } catch {
    return null; // a browser that keeps nothing
  }
};
const wanted = state.language ?? remembered() ?? navigator.language;
export const language = wanted.startsWith("zh") ? "zh" : "en";
const texts = language === "zh" ? zh : en;

// Returns a text with {names} replaced by values.
export function t(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// Returns a text that may be missing, such as the meaning of a setting that the page does not know.
export const maybe = (key, otherwise) => texts[key] ?? otherwise;

// Fills the elements that name their text, or the text of their label.
export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of root.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", t(element.dataset.label));
}

// Opens the same page in the other language.
export function switchLanguage() {
  const other = language === "zh" ? "en" : "zh";
  try {
    localStorage.setItem("language", other);
  } catch {
    // the address still says it
  }
  setState({ language: other });
  location.reload();
}
