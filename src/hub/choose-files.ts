import { CortexError } from "../base/errors.ts";
import { formatBytes } from "../base/units.ts";
import {
  fileNameOf,
  folderOf,
  isGguf,
  isProjector,
  parseFileName,
  preferProjector,
  quantizationOf,
} from "./gguf-name.ts";
import type { HubFile, HubListing } from "./hub-api.ts";
import { formatHubSource, type HubSource } from "./hub-source.ts";

/** A model that a repository offers: one file, or all parts of one. */
export interface Offer {
  readonly stem: string;
  readonly files: readonly HubFile[];
  readonly bytes: number;
  readonly quantization: string | undefined;
}

/** Files that go with models and are none: importance matrices and draft heads. They can be had by name. */
const COMPANION = /imatrix|^(?:mtp|eagle3|dflash|dspark)-/i;
/** Of choices in a message; the figures have all. */
const CHOICES_SHOWN_MAX = 40;

/**
 * Picks the files that a source means: all parts of the model, then the projector where there is one and it is wanted.
 * @throws CortexError invalid_request with the choices where several models fit, model_not_found where none does
 */
export function chooseFiles(
  listing: HubListing,
  source: HubSource,
  options: { readonly projector: boolean },
): readonly HubFile[] {
  const model =
    source.file === undefined ? chooseModel(listing, source) : chooseByFile(listing, source);
  const first = model[0]?.path ?? "";
  if (!options.projector || isProjector(first) || COMPANION.test(fileNameOf(first))) return model;
  const projector = findProjector(listing.files, first);
  return projector === undefined ? model : [...model, projector];
}

function chooseByFile(listing: HubListing, source: HubSource): readonly HubFile[] {
  const found = listing.files.find((file) => file.path === source.file);
  if (found === undefined) {
    throw nothing(`${source.repository} has no file ${source.file}`, { listing, source });
  }
  const { parts } = parseFileName(fileNameOf(found.path));
  if (parts === 1) return [found];
  const { stem } = parseFileName(fileNameOf(found.path));
  return allParts(listing, { folder: folderOf(found.path), stem, parts });
}

/**
 * 1. the only model; of a named quantization: 2. those whose file says exactly that; 3. those whose name ends with it,
 * as UD-Q4_K_XL does with Q4_K_XL. Several of one rank are refused, for they can differ in size by half.
 */
function chooseModel(listing: HubListing, source: HubSource): readonly HubFile[] {
  const offers = listOffers(listing);
  const wanted = source.quantization?.toLowerCase();
  const ranks =
    wanted === undefined
      ? // 1.
        [offers]
      : [
          // 2.
          offers.filter((offer) => offer.quantization === wanted),
          // 3.
          offers.filter((offer) => endsWithName(offer.stem.toLowerCase(), wanted)),
        ];
  const fitting = ranks.find((rank) => rank.length > 0) ?? [];
  const [only, second] = fitting;
  if (only === undefined) {
    const what = wanted === undefined ? "no GGUF model" : `no model in ${source.quantization}`;
    throw nothing(`${source.repository} has ${what}`, { listing, source });
  }
  if (second !== undefined) throw ambiguous(fitting, source);
  const { stem, parts } = parseFileName(fileNameOf(only.files[0]?.path ?? ""));
  return allParts(listing, { folder: folderOf(only.files[0]?.path ?? ""), stem, parts });
}

/** Every model of a repository, each with its parts in order. */
export function listOffers(listing: HubListing): readonly Offer[] {
  const groups = new Map<string, HubFile[]>();
  for (const file of listing.files) {
    if (!isGguf(file.path) || isProjector(file.path) || COMPANION.test(fileNameOf(file.path)))
      continue;
    const { stem, parts } = parseFileName(fileNameOf(file.path));
    const key = `${folderOf(file.path)}\0${stem}\0${parts}`;
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups.values()].map((files) => {
    const { stem } = parseFileName(fileNameOf(files[0]?.path ?? ""));
    return {
      stem,
      files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
      quantization: quantizationOf(stem),
    };
  });
}

function endsWithName(stem: string, name: string): boolean {
  return stem.endsWith(name) && /[-._]/.test(stem.at(-name.length - 1) ?? "");
}

/** @throws CortexError model_not_found when the repository lacks a part */
function allParts(
  listing: HubListing,
  model: { readonly folder: string; readonly stem: string; readonly parts: number },
): readonly HubFile[] {
  const found: HubFile[] = [];
  for (const file of listing.files) {
    if (!isGguf(file.path) || folderOf(file.path) !== model.folder) continue;
    const { stem, part, parts } = parseFileName(fileNameOf(file.path));
    if (stem === model.stem && parts === model.parts) found[part - 1] = file;
  }
  for (let part = 1; part <= model.parts; part += 1) {
    if (found[part - 1] !== undefined) continue;
    throw new CortexError(
      "model_not_found",
      `${listing.repository} lacks part ${part} of ${model.parts} of ${model.stem}`,
    );
  }
  return found.slice(0, model.parts);
}

/** The projector in the model's folder, else in the nearest folder above it. */
function findProjector(files: readonly HubFile[], model: string): HubFile | undefined {
  const candidates = files.filter((file) => isGguf(file.path) && isProjector(file.path));
  for (let folder = folderOf(model); ; folder = folderOf(folder.slice(0, -1))) {
    const here = candidates.filter((file) => folderOf(file.path) === folder);
    const path = preferProjector(here.map((file) => file.path));
    if (path !== undefined) return here.find((file) => file.path === path);
    if (folder === "") return undefined;
  }
}

function ambiguous(offers: readonly Offer[], source: HubSource): CortexError {
  const lines = offers.map(describeOffer);
  const what = source.quantization === undefined ? "" : ` in ${source.quantization}`;
  return new CortexError(
    "invalid_request",
    [`${source.repository} has ${offers.length} models${what}: name one`, ...shown(lines)].join(
      "\n",
    ),
    { param: "source", figures: { choices: offers.map(choiceOf) }, hint: hintFor(offers, source) },
  );
}

function nothing(
  message: string,
  context: { readonly listing: HubListing; readonly source: HubSource },
): CortexError {
  const offers = listOffers(context.listing);
  if (offers.length === 0) {
    return new CortexError("model_not_found", `${message}: it has no GGUF files of a model`, {
      hint: "look for a repository of the same model whose name ends in -GGUF",
    });
  }
  return new CortexError(
    "model_not_found",
    [`${message}; it has`, ...shown(offers.map(describeOffer))].join("\n"),
    { figures: { choices: offers.map(choiceOf) }, hint: hintFor(offers, context.source) },
  );
}

function choiceOf(offer: Offer): object {
  return {
    file: offer.files[0]?.path,
    parts: offer.files.length,
    bytes: offer.bytes,
    ...(offer.quantization === undefined ? {} : { quantization: offer.quantization.toUpperCase() }),
  };
}

function describeOffer(offer: Offer): string {
  const parts = offer.files.length > 1 ? `, ${offer.files.length} parts` : "";
  return `${offer.files[0]?.path} (${formatBytes(offer.bytes)}${parts})`;
}

function shown(lines: readonly string[]): readonly string[] {
  if (lines.length <= CHOICES_SHOWN_MAX) return lines;
  return [...lines.slice(0, CHOICES_SHOWN_MAX), `and ${lines.length - CHOICES_SHOWN_MAX} more`];
}

/** A command line that works: by quantization where that is unique, else by file. */
function hintFor(offers: readonly Offer[], source: HubSource): string {
  const [usual] = offers.filter((offer) => offer.quantization === "q4_k_m");
  const offer = usual ?? offers[0];
  const same = offers.filter((other) => other.quantization === offer?.quantization);
  const bare = { ...source, quantization: undefined, file: undefined };
  const named =
    offer?.quantization !== undefined && same.length === 1
      ? { ...bare, quantization: offer.quantization.toUpperCase() }
      : { ...bare, file: offer?.files[0]?.path };
  return `cortex pull ${formatHubSource(named)}`;
}
