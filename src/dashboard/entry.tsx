import { render } from "preact";
import { App } from "./app.tsx";
import { followFeed } from "./follow-feed.ts";
import { store } from "./store.ts";

const root = document.getElementById("app");
if (root === null) throw new Error("The page has no element #app");
render(<App />, root);
followFeed(store);
