/** Whether the bytes from `from` to `to` are this text of ASCII, no more and no less; makes no string of them. */
export function isTextAt(bytes: Buffer, from: number, to: number, text: string): boolean {
  if (to - from !== text.length) return false;
  for (let index = 0; index < text.length; index += 1) {
    if (bytes[from + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}
