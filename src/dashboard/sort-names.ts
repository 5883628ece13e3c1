const ZERO = 48;
const NINE = 57;

/**
 * The names in order whatever the case, numbers within them by their size. The browser's own collation needs 20 ms
 * before it compares for the first time.
 */
export function sortNames(names: Iterable<string>): string[] {
  return Array.from(names, (name) => ({ name, folded: name.toLowerCase() }))
    .sort((one, other) => compare(one.folded, other.folded))
    .map(({ name }) => name);
}

function compare(one: string, other: string): number {
  let here = 0;
  let there = 0;
  while (here < one.length && there < other.length) {
    if (isDigit(one, here) && isDigit(other, there)) {
      const [hereEnd, thereEnd] = [endOfNumber(one, here), endOfNumber(other, there)];
      const more = Number(one.slice(here, hereEnd)) - Number(other.slice(there, thereEnd));
      if (more !== 0) return more;
      [here, there] = [hereEnd, thereEnd];
    } else {
      const more = one.charCodeAt(here) - other.charCodeAt(there);
      if (more !== 0) return more;
      here += 1;
      there += 1;
    }
  }
  return one.length - here - (other.length - there);
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= ZERO && code <= NINE;
}

function endOfNumber(text: string, from: number): number {
  let end = from;
  while (isDigit(text, end)) end += 1;
  return end;
}
