import { render } from "preact";
import { App } from "./app.tsx";
import { followFeed } from "./follow-feed.ts";
import { isDrawn, store } from "./store.ts";

const root = document.getElementById("app");
if (root === null) throw new Error("The page has no element #app");

// Drawn once there is something to show: an empty page would have to be laid out and painted before the fleet.
followFeed(store, {
  onFirst: () => {
    root.textContent = "";
    render(<App />, root);
    requestAnimationFrame(() => setTimeout(onPainted));
  },
});

/** The fleet is on the screen: what a person waits for, and a benchmark measures. The sections below follow. */
function onPainted(): void {
  performance.mark("ready");
  isDrawn.value = true;
  // A place in the page that the address names may be in a section that has only come now.
  if (location.hash.length > 1) {
    requestAnimationFrame(() => document.getElementById(location.hash.slice(1))?.scrollIntoView());
  }
}
