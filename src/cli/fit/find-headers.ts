import { systemClock } from "../../base/clock.ts";
import { CortexError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { loadNeuronConfig } from "../../config/load-neuron-config.ts";
import { chooseFiles, listOffers } from "../../hub/choose-files.ts";
import { quantizationOf } from "../../hub/gguf-name.ts";
import { type HubFile, type HubListing, listHubFiles } from "../../hub/hub-api.ts";
import type { HubConnection } from "../../hub/hub-request.ts";
import { readHubSettings } from "../../hub/hub-settings.ts";
import { type HubSource, parseHubSource } from "../../hub/hub-source.ts";
import { readRange } from "../../hub/read-range.ts";
import { Catalogue } from "../../neuron/models/catalogue.ts";
import { describeGguf } from "../../neuron/models/describe-gguf.ts";
import { type GgufHeader, parseGguf, readGguf } from "../../neuron/models/gguf.ts";
import { MoreBytesNeeded } from "../../neuron/models/gguf-cursor.ts";
import { modelFolders } from "../../neuron/supply/model-folders.ts";

/** A model in one quantization, known by its header. */
export interface FoundHeader {
  readonly quantization: string;
  readonly header: GgufHeader;
  /** Of all parts and the projector, without the first header. */
  readonly weights: number;
}

/** Vocabularies make headers of some MiB. */
const FIRST_BYTES = 2 * 1024 * 1024;
const HEADER_BYTES_MAX = 64 * 1024 * 1024;
/** Repositories have a dozen quantizations; each costs a request or two. */
const OFFERS_MAX = 24;

/** Reads headers of a model on the hub, without its weights; of every quantization where none is named. */
export async function readHubHeaders(
  text: string,
  signal: AbortSignal,
): Promise<readonly FoundHeader[]> {
  const source = parseHubSource(text);
  const connection = { settings: await readHubSettings(process.env), clock: systemClock };
  const listing = await listHubFiles(connection, source, { signal });
  const found: FoundHeader[] = [];
  for (const files of listChoices(listing, source)) {
    found.push(await readHubHeader(connection, { listing, files, signal }));
  }
  return found.toSorted((a, b) => a.weights - b.weights);
}

function listChoices(listing: HubListing, source: HubSource): readonly (readonly HubFile[])[] {
  const isNamed = source.quantization !== undefined || source.file !== undefined;
  const offers = isNamed ? [] : listOffers(listing).slice(0, OFFERS_MAX);
  // With one or none, the choice says what is wrong.
  if (offers.length < 2) return [chooseFiles(listing, source, { projector: true })];
  return offers.map(({ files }) => {
    const file = files[0]?.path;
    return chooseFiles(listing, { ...source, file }, { projector: true });
  });
}

async function readHubHeader(
  connection: HubConnection,
  model: {
    readonly listing: HubListing;
    readonly files: readonly HubFile[];
    readonly signal: AbortSignal;
  },
): Promise<FoundHeader> {
  const { listing, files, signal } = model;
  const [first] = files;
  if (first === undefined) throw new Error("A model without files");
  let bytes: Uint8Array = new Uint8Array(0);
  for (let to = FIRST_BYTES; ; to *= 4) {
    const end = Math.min(to, first.bytes, HEADER_BYTES_MAX);
    const range = { from: bytes.length, to: end, signal };
    bytes = Buffer.concat([
      bytes,
      await readRange(connection, { ...listing, path: first.path }, range),
    ]);
    try {
      const header = parseGguf(bytes, first.bytes);
      const whole = files.reduce((sum, file) => sum + file.bytes, 0);
      return {
        quantization: nameOf(first.path, header),
        header,
        weights: whole - header.headerBytes,
      };
    } catch (cause) {
      if (cause instanceof MoreBytesNeeded && end < Math.min(first.bytes, HEADER_BYTES_MAX))
        continue;
      throw new CortexError("load_failed", `Cannot read the header of ${first.path}`, {
        ...{ cause, hint: "another file of the repository" },
      });
    }
  }
}

/** Reads the header of a model in this machine's folders. @throws CortexError model_not_found */
export async function readLocalHeader(
  name: string,
  file: string | undefined,
): Promise<FoundHeader> {
  const { config } = await loadNeuronConfig({ file, withSecrets: false });
  const { folders } = modelFolders(config, process.env);
  const catalogue = new Catalogue({ folders, log: silentLog, clock: systemClock });
  await catalogue.scan();
  const entry = catalogue.find(name);
  if (entry === undefined) {
    const where = folders.map(({ path }) => path).join(" and ");
    throw new CortexError("model_not_found", `Model '${name}' is not in ${where}`, {
      hint: "cortex fit hf:owner/repository, which downloads nothing",
    });
  }
  const header = await readGguf(entry.path);
  const projector = entry.mmproj === undefined ? 0 : Bun.file(entry.mmproj).size;
  const weights = entry.fileBytes + projector - header.headerBytes;
  return { quantization: nameOf(entry.path, header), header, weights };
}

/** By the file's name, which tells variants apart; else by the header. */
function nameOf(path: string, header: GgufHeader): string {
  const stem = path.slice(path.lastIndexOf("/") + 1).replace(/(-\d{5}-of-\d{5})?\.gguf$/i, "");
  return quantizationOf(stem)?.toUpperCase() ?? describeGguf(header).quantization;
}
