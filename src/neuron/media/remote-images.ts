import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { CortexError } from "../../base/errors.ts";
import { invalid, isObject, type JsonObject, showValue } from "../requests/json-body.ts";
import { IMAGE_BYTES_MAX, imageUrlOf } from "./media-rules.ts";
import { isPublicAddress } from "./public-address.ts";

/** Of one request; they are fetched one after another, within the time below in all. */
const REMOTE_IMAGES_MAX = 8;
/** For all images of a request: names, connections and bodies. */
const FETCH_TIMEOUT_MS = 10_000;
const URL_CHARACTERS_MAX = 4_096;

/** What fetching takes from outside; tests give their own. */
export interface RemoteImageSources {
  /** Every address of a name. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly isAllowed: (address: string) => boolean;
}

const SOURCES: RemoteImageSources = {
  resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  fetch: (url, init) => fetch(url, init),
  isAllowed: isPublicAddress,
};

/** Whether a chat body has images that lie elsewhere. */
export function hasRemoteImages(body: JsonObject): boolean {
  const { messages } = body;
  return (
    Array.isArray(messages) &&
    messages.some(
      (message) =>
        isObject(message) &&
        Array.isArray(message["content"]) &&
        message["content"].some((part) => isRemote(imageUrlOf(part))),
    )
  );
}

/**
 * The body with its remote images in it, as data: URLs. Connects only to public addresses, and to the very address
 * that was checked, so that a name cannot change its mind in between; never follows a redirect.
 * @throws CortexError invalid_request that names the image and why it was not fetched
 */
export async function fetchImages(
  body: JsonObject,
  options: { readonly signal: AbortSignal; readonly sources?: RemoteImageSources },
): Promise<JsonObject> {
  const sources = options.sources ?? SOURCES;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]);
  let count = 0;
  const messages: unknown[] = [];
  for (const [index, message] of (body["messages"] as readonly unknown[]).entries()) {
    const content = isObject(message) ? message["content"] : undefined;
    if (!isObject(message) || !Array.isArray(content)) {
      messages.push(message);
      continue;
    }
    const parts: unknown[] = [];
    for (const [position, part] of content.entries()) {
      const url = imageUrlOf(part);
      if (url === undefined || !isRemote(url)) {
        parts.push(part);
        continue;
      }
      const param = `messages[${index}].content[${position}].image_url.url`;
      count += 1;
      if (count > REMOTE_IMAGES_MAX) {
        throw invalid(param, `'messages' has more than ${REMOTE_IMAGES_MAX} remote images`);
      }
      const data = await fetchImage(url, { param, signal, sources });
      parts.push({ type: "image_url", image_url: { url: data } });
    }
    messages.push({ ...message, content: parts });
  }
  return { ...body, messages };
}

interface Fetching {
  readonly param: string;
  readonly signal: AbortSignal;
  readonly sources: RemoteImageSources;
}

function isRemote(url: string | undefined): boolean {
  return url !== undefined && /^https?:/i.test(url.slice(0, 6));
}

async function fetchImage(text: string, fetching: Fetching): Promise<string> {
  const { param, signal, sources } = fetching;
  const fail = (why: string, cause?: unknown) =>
    new CortexError("invalid_request", `'${param}' is ${showValue(text)}: ${why}`, {
      param,
      cause,
    });
  const url = text.length <= URL_CHARACTERS_MAX ? URL.parse(text) : null;
  if (url === null) throw fail("no valid address");
  if (url.username !== "" || url.password !== "") throw fail("credentials are not allowed");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  let response: Response;
  try {
    const addresses = isIP(host) > 0 ? [host] : await raceAbort(sources.resolve(host), signal);
    const [address] = addresses;
    if (address === undefined || !addresses.every((each) => sources.isAllowed(each))) {
      throw fail("its host is not on the public network");
    }
    const target = new URL(url);
    target.hostname = isIP(address) === 6 ? `[${address}]` : address;
    target.hash = "";
    response = await sources.fetch(target.href, {
      redirect: "manual",
      signal,
      headers: { host: url.host, accept: "image/*", "accept-encoding": "identity" },
      // The certificate must be the name's, not the address's.
      tls: { serverName: host },
    } as RequestInit);
  } catch (error) {
    if (error instanceof CortexError) throw error;
    throw fail(
      signal.aborted ? `not there within ${FETCH_TIMEOUT_MS} ms` : "cannot be reached",
      error,
    );
  }
  if (response.status !== 200) {
    await response.body?.cancel();
    throw fail(`its host answered ${response.status}, redirects are not followed`);
  }
  const type = (response.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (type === undefined || !/^image\/[a-z0-9.+-]{1,40}$/.test(type)) {
    await response.body?.cancel();
    throw fail(`its host calls it ${showValue(type)}, must be an image`);
  }
  try {
    return `data:${type};base64,${(await readBounded(response)).toBase64()}`;
  } catch (error) {
    if (error instanceof RangeError) throw fail(error.message, error);
    throw fail(signal.aborted ? `not there within ${FETCH_TIMEOUT_MS} ms` : "it broke off", error);
  }
}

async function readBounded(response: Response): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const piece = await reader?.read();
      if (piece === undefined || piece.done) break;
      bytes += piece.value.length;
      if (bytes > IMAGE_BYTES_MAX) {
        throw new RangeError(`more than ${IMAGE_BYTES_MAX} bytes`);
      }
      pieces.push(piece.value);
    }
  } finally {
    await reader?.cancel();
  }
  return Buffer.concat(pieces);
}

/** Names are resolved by the system, which cannot be interrupted; the wait for it can. */
async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
