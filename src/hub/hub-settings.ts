import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { CortexError } from "../base/errors.ts";

/** The environment's variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the hub is and who asks, after the variables that its other clients read. */
export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
}

const ENDPOINT_DEFAULT = "https://huggingface.co";
/** No token is longer; a longer file is something else. */
const TOKEN_LENGTH_MAX = 1024;

/**
 * Reads HF_ENDPOINT and the token: HF_TOKEN, else the file at HF_TOKEN_PATH, else HF_HOME/token.
 * @throws CortexError unavailable with HF_HUB_OFFLINE=1, invalid_config for an endpoint that is none
 */
export async function readHubSettings(env: Environment): Promise<HubSettings> {
  if (/^(1|on|yes|true)$/i.test(env["HF_HUB_OFFLINE"] ?? "")) {
    throw new CortexError("unavailable", "Nothing is downloaded: HF_HUB_OFFLINE is set", {
      hint: "unset HF_HUB_OFFLINE",
    });
  }
  const endpoint = (env["HF_ENDPOINT"] || ENDPOINT_DEFAULT).replace(/\/+$/, "");
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "") {
    throw new CortexError(
      "invalid_config",
      `HF_ENDPOINT is '${endpoint}', but must be an address such as ${ENDPOINT_DEFAULT}`,
      { hint: `HF_ENDPOINT=${ENDPOINT_DEFAULT}` },
    );
  }
  return { endpoint, token: await readToken(env) };
}

/** The standard cache folder: HF_HUB_CACHE, else HF_HOME/hub, else ~/.cache/huggingface/hub. */
export function hubCacheFolder(env: Environment): string {
  const named = env["HF_HUB_CACHE"] || env["HUGGINGFACE_HUB_CACHE"];
  return named ? resolve(expandHome(named)) : join(hubHome(env), "hub");
}

async function readToken(env: Environment): Promise<string | undefined> {
  const named = env["HF_TOKEN"] || env["HUGGING_FACE_HUB_TOKEN"];
  if (named) return checkToken(named.trim(), "HF_TOKEN");
  const path = env["HF_TOKEN_PATH"]
    ? resolve(expandHome(env["HF_TOKEN_PATH"]))
    : join(hubHome(env), "token");
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    // Most hosts have no token, and most repositories need none.
    if (!env["HF_TOKEN_PATH"] && (cause as NodeJS.ErrnoException).code === "ENOENT")
      return undefined;
    throw new CortexError("invalid_config", `Cannot read the hub's token in ${path}`, {
      cause,
      hint: `ls -l ${path}`,
    });
  }
  return text.trim() === "" ? undefined : checkToken(text.trim(), path);
}

/** What cannot stand in a header would otherwise fail there, with the token in the error's text. */
function checkToken(token: string, where: string): string {
  if (token.length <= TOKEN_LENGTH_MAX && /^[\x21-\x7e]+$/.test(token)) return token;
  throw new CortexError("invalid_config", `The hub's token in ${where} is no token`, {
    hint: "a token is one line such as hf_…, from the settings page of your account",
  });
}

function hubHome(env: Environment): string {
  if (env["HF_HOME"]) return resolve(expandHome(env["HF_HOME"]));
  return join(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"), "huggingface");
}

function expandHome(path: string): string {
  return path.replace(/^~(?=$|\/)/, homedir());
}
