import { openEarly } from "./early-feed.ts";

openEarly();
