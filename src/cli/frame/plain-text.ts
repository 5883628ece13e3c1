/** Characters with which text from elsewhere could move the cursor, recolour or retitle a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text that others wrote, safe to be shown: control characters but tab and line feed are taken out. */
export function toPlainText(text: string): string {
  return text.replace(CONTROLS, "");
}
