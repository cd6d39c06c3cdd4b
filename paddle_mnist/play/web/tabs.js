// The tabs: arrows, Home and End move between them.

import { emit, on } from "./bus.js";
import { byId, make } from "./dom.js";
import { t } from "./language.js";
import { setState, state } from "./state.js";

const TABS = ["answers", "inside", "train", "runs"];

export const shownTab = () => (TABS.includes(state.tab) ? state.tab : TABS[0]);

export function startTabs() {
  for (const name of TABS) {
    byId("tabs").append(
      make(
        "button",
        {
          id: `tab-${name}`,
          type: "button",
          role: "tab",
          "aria-controls": `panel-${name}`,
          onclick: () => select(name),
        },
        t(`tab_${name}`),
      ),
    );
  }
  byId("tabs").addEventListener("keydown", (event) => {
    const place = TABS.indexOf(shownTab()),
      last = TABS.length - 1;
    const next = { ArrowRight: (place + 1) % TABS.length, ArrowLeft: (place + last) % TABS.length, Home: 0, End: last }[
      event.key
    ];
    if (next === undefined) return;
    event.preventDefault();
    select(TABS[next]);
    byId(`tab-${TABS[next]}`).focus();
  });
  on("address", show);
  show();
}

export function select(name) {
  setState({ tab: name === TABS[0] ? null : name });
  show();
}

function show() {
  for (const name of TABS) {
    const isShown = name === shownTab(),
      tab = byId(`tab-${name}`);
    tab.setAttribute("aria-selected", isShown);
    tab.tabIndex = isShown ? 0 : -1;
    byId(`panel-${name}`).hidden = !isShown;
  }
  emit("tab", shownTab());
}
