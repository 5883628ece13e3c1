/** Serves this host's CPU over RPC until it is killed: the other host of the RPC test. */
import { openEngine } from "../../cuda/index.ts";
import { LIBRARY } from "./harness.ts";

const engine = openEngine(LIBRARY);
engine.init({ log_level: "info" });
engine.serveRpc({ host: "127.0.0.1", port: Number(process.argv[2]), threads: 1 });
