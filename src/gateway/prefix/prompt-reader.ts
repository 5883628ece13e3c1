import type { ByteSpan } from "../../base/byte-span.ts";
import { JSON_BYTE } from "../../base/json-bytes.ts";
import type { BodyParts } from "./body-parts.ts";
import { JsonCursor, type Place } from "./json-cursor.ts";
import { ChainBuilder, NO_CHAIN, type PromptChain } from "./prompt-chain.ts";

/** Requests that have a prompt whose beginning a cache may hold. */
export type PromptForm = "chat" | "messages" | "responses" | "completions";

/** Marks of the canonical form. JSON holds no such bytes, so that no text can be taken for one. */
const MARK = { system: 1, user: 2, assistant: 3, tool: 4, call: 5, tools: 6, media: 7, gap: 31 };
type Mark = number;

/** An image of usual size, at four bytes for a token. */
const MEDIA_BYTES = 6_000;
/** Content within content: a request, a message, a tool's result, its blocks; deeper is none that a template knows. */
const DEPTH_MAX = 8;
/** Raw text and conversations share no beginnings. */
const SEED_TEXT = 1n;
const SEED_CONVERSATION = 2n;
/** Claude Code begins its system prompt with this line, other at each start; neurons drop it. */
const BILLING_HEADER = Buffer.from("x-anthropic-billing-header:");
const ESCAPED_NEWLINE = Buffer.from("\\n");

const { quote: QUOTE, openingBracket: OPENING_BRACKET, openingBrace: OPENING_BRACE } = JSON_BYTE;

const BUILDER = new ChainBuilder();

/**
 * Reads what of a request becomes its prompt, in the order in which most templates write it: what the system says,
 * tools, messages. Of those it takes who speaks, texts, calls and their results, in one form for all dialects and
 * orders of fields; marks for caches, ids and reasoning are left out, for they change or go while the conversation
 * grows. Nothing is decoded: texts count as they are written in JSON.
 */
export function readPromptChain(body: ByteSpan, form: PromptForm, parts: BodyParts): PromptChain {
  BUILDER.reset(form === "completions" ? SEED_TEXT : SEED_CONVERSATION);
  const reader = new PromptReader(body, BUILDER);
  if (form === "completions") {
    reader.readText(parts.prompt);
    return BUILDER.take();
  }
  // What it refers to is not in it.
  if (parts.previous_response_id !== undefined || parts.conversation !== undefined) return NO_CHAIN;
  const messages = form === "responses" ? parts.input : parts.messages;
  reader.readSystem(form === "responses" ? parts.instructions : parts.system);
  const rest = form === "messages" ? messages : reader.readLeadingSystem(messages);
  reader.readTools(parts.tools);
  reader.readMessages(rest);
  return BUILDER.take();
}

/** What is known of a message or block while its members are read. */
interface Item {
  readonly isMessage: boolean;
  readonly depth: number;
  speaker: Mark | undefined;
  name?: Place;
  /** What came before that which goes before it. */
  content?: Place;
  calls?: Place;
  input?: Place;
}

class PromptReader {
  readonly #bytes: Buffer;
  readonly #cursor: JsonCursor;
  readonly #chain: ChainBuilder;
  /** Who speaks in the chain so far; 0 where a message has just begun. */
  #speaker: Mark = 0;

  constructor(body: ByteSpan, chain: ChainBuilder) {
    this.#bytes = body.bytes;
    this.#cursor = new JsonCursor(body);
    this.#chain = chain;
  }

  /** A text, or several of them. */
  readText(place: Place | undefined): void {
    if (place === undefined) return;
    this.#cursor.at(place.from);
    this.#readContent(MARK.user, 0);
  }

  readSystem(place: Place | undefined): void {
    if (place === undefined) return;
    this.#cursor.at(place.from);
    this.#speaker = 0;
    this.#readContent(MARK.system, 0);
  }

  /** The system's messages before any other; returns where the others are. */
  readLeadingSystem(place: Place | undefined): Place | undefined {
    if (place === undefined || this.#bytes[place.from] !== OPENING_BRACKET) return place;
    const cursor = this.#cursor;
    cursor.at(place.from);
    for (let more = cursor.openList(); more; more = cursor.nextInList()) {
      const from = cursor.place;
      if (this.#findSpeaker() !== MARK.system) return { from, to: place.to };
      cursor.at(from);
      this.#readMessage();
    }
    return undefined;
  }

  readTools(place: Place | undefined): void {
    if (place === undefined || this.#bytes[place.from] !== OPENING_BRACKET) return;
    const cursor = this.#cursor;
    cursor.at(place.from);
    this.#chain.put(MARK.tools);
    for (let more = cursor.openList(); more; more = cursor.nextInList()) this.#readTool(0);
  }

  /** A list of messages, the rest of one, or a single text. */
  readMessages(place: Place | undefined): void {
    if (place === undefined) return;
    const cursor = this.#cursor;
    cursor.at(place.from);
    const first = this.#bytes[place.from];
    if (first === QUOTE) {
      this.#speaker = 0;
      this.#readContent(MARK.user, 0);
      return;
    }
    const inside = first === OPENING_BRACE;
    for (let more = inside || cursor.openList(); more; more = cursor.nextInList()) {
      this.#readMessage();
    }
  }

  #findSpeaker(): Mark | undefined {
    const cursor = this.#cursor;
    let speaker: Mark | undefined;
    for (let key = cursor.open(); key !== undefined; key = cursor.next()) {
      const place = cursor.skip();
      if (key === "role") speaker = this.#speakerAt(place);
    }
    return speaker;
  }

  #speakerAt({ from }: Place): Mark {
    switch (this.#bytes[from + 1]) {
      case 115: // system
      case 100: // developer
        return MARK.system;
      case 97:
        return MARK.assistant;
      case 116: // tool
      case 102: // function
        return MARK.tool;
      default:
        return MARK.user;
    }
  }

  #readTool(depth: number): void {
    const cursor = this.#cursor;
    let name: Place | undefined;
    let description: Place | undefined;
    let schema: Place | undefined;
    for (let key = cursor.open(); key !== undefined; key = cursor.next()) {
      if (key === "function" && depth < DEPTH_MAX) this.#readTool(depth + 1);
      else if (key === "tools" && depth < DEPTH_MAX) this.#readToolsWithin(depth + 1);
      else {
        const place = cursor.skip();
        if (key === "name") name = place;
        else if (key === "description") description = place;
        else if (key === "parameters" || key === "input_schema") schema = place;
      }
    }
    if (name === undefined) return;
    this.#writeText(name);
    this.#chain.put(MARK.gap);
    if (description !== undefined) this.#writeText(description);
    this.#chain.put(MARK.gap);
    if (schema !== undefined) this.#chain.writeCompact(this.#bytes, schema.from, schema.to);
    this.#chain.put(MARK.gap);
  }

  /** A namespace of tools. */
  #readToolsWithin(depth: number): void {
    const cursor = this.#cursor;
    for (let more = cursor.openList(); more; more = cursor.nextInList()) this.#readTool(depth);
  }

  #readMessage(): void {
    this.#speaker = 0;
    this.#readItem({ isMessage: true, depth: 0, speaker: undefined });
  }

  #readContent(speaker: Mark, depth: number): void {
    const cursor = this.#cursor;
    const first = this.#bytes[cursor.place];
    if (first === QUOTE) this.#say(speaker, cursor.skip());
    else if (first === OPENING_BRACE && depth < DEPTH_MAX) {
      this.#readItem({ isMessage: false, depth: depth + 1, speaker });
    } else if (first === OPENING_BRACKET && depth < DEPTH_MAX) {
      for (let more = cursor.openList(); more; more = cursor.nextInList()) {
        this.#readContent(speaker, depth + 1);
      }
    } else cursor.skip();
  }

  /** A message or a block: whatever has to be written later than it comes is kept by its place. */
  #readItem(item: Item): void {
    const cursor = this.#cursor;
    for (let key = cursor.open(); key !== undefined; key = cursor.next()) {
      this.#readMember(key, item);
    }
    const end = cursor.place;
    const { content, calls, input, name, speaker } = item;
    if (content !== undefined && speaker !== undefined) {
      cursor.at(content.from);
      this.#readContent(speaker, item.depth);
    }
    if (calls !== undefined) {
      cursor.at(calls.from);
      this.#readContent(MARK.assistant, item.depth);
    }
    if (input !== undefined && name !== undefined) this.#writeCall(name, input);
    cursor.at(end);
  }

  #readMember(key: string, item: Item): void {
    const cursor = this.#cursor;
    const { isMessage, depth, speaker } = item;
    switch (key) {
      case "role":
        item.speaker = this.#speakerAt(cursor.skip());
        return;
      case "content":
        if (!isMessage) this.#readResult(depth);
        else if (speaker !== undefined) this.#readContent(speaker, depth);
        else item.content = cursor.skip();
        return;
      case "output":
        this.#readResult(depth);
        return;
      case "text":
        if (this.#bytes[cursor.place] !== QUOTE || speaker === undefined) cursor.skip();
        else this.#say(speaker, cursor.skip());
        return;
      case "tool_calls":
        item.calls = cursor.skip();
        return;
      case "function":
        this.#readContent(MARK.assistant, depth);
        return;
      case "name":
        item.name = cursor.skip();
        return;
      case "arguments":
      case "input":
        item.input = cursor.skip();
        return;
      case "image_url":
      case "source":
      case "input_audio":
      case "file":
      case "file_data":
        this.#writeMedia(cursor.skip());
        return;
      default:
        cursor.skip();
    }
  }

  /** What a tool answered: a message of its own where the chat dialect tells it. */
  #readResult(depth: number): void {
    this.#speaker = 0;
    this.#readContent(MARK.tool, depth);
    this.#speaker = 0;
  }

  #say(speaker: Mark, place: Place): void {
    const text = speaker === MARK.system ? this.#withoutBilling(place) : place;
    if (text.to - text.from <= 2) return;
    if (this.#speaker !== speaker) this.#chain.put(speaker);
    this.#speaker = speaker;
    this.#writeText(text);
  }

  /** The text behind the header's line; the place keeps a byte for the opening quote. */
  #withoutBilling(place: Place): Place {
    const from = place.from + 1;
    if (this.#bytes[from] !== BILLING_HEADER[0]) return place;
    const bytes = this.#bytes;
    const end = from + BILLING_HEADER.length;
    if (
      end > place.to ||
      bytes.compare(BILLING_HEADER, 0, BILLING_HEADER.length, from, end) !== 0
    ) {
      return place;
    }
    const newline = bytes.indexOf(ESCAPED_NEWLINE, end);
    if (newline < 0 || newline >= place.to) return { from: place.from, to: place.from };
    return { from: newline + ESCAPED_NEWLINE.length - 1, to: place.to };
  }

  #writeCall(name: Place, input: Place): void {
    this.#chain.put(MARK.call);
    this.#writeText(name);
    this.#chain.put(MARK.gap);
    this.#chain.writeCompact(this.#bytes, input.from, input.to);
    this.#speaker = 0;
  }

  /** The inside of a string. */
  #writeText({ from, to }: Place): void {
    this.#chain.write(this.#bytes, from + 1, to - 1);
  }

  /** An image or the like by its hash, with the room that it takes in a prompt. */
  #writeMedia({ from, to }: Place): void {
    const chain = this.#chain;
    chain.put(MARK.media);
    let digest = Bun.hash.xxHash3(this.#bytes.subarray(from, to));
    for (let byte = 0; byte < 8; byte += 1) {
      chain.put(Number(digest & 255n));
      digest >>= 8n;
    }
    chain.pad(MEDIA_BYTES);
  }
}
