const PATTERN_CHARACTERS_MAX = 512;
const REPETITIONS_MAX = 256;

/** One thing that can be repeated: a class, an escape, a dot or a literal. */
const ATOM =
  /\[\^?(?:\\[dwsDWSnrt\-\]\\[^$.|?*+(){}/]|[^[\]\\])+\]|\\[dwsDWSnrt\-\]\\[^$.|?*+(){}/]|[^\\[\](){}^$*+?|]/y;
const QUANTIFIER = /[*+?]|\{(\d{1,4})(?:,(\d{0,4}))?\}/y;

/**
 * Whether a schema's `pattern` can be given to the engine's grammar compiler. Some patterns end its process: a
 * repetition of nothing, nested groups, look-around. So only a small language is let through: `^…$` around atoms,
 * groups of one level without repetition inside a repetition, alternatives, and bounded repetitions.
 */
export function isSafePattern(pattern: string): boolean {
  if (pattern.length > PATTERN_CHARACTERS_MAX) return false;
  if (!pattern.startsWith("^") || !pattern.endsWith("$") || pattern.endsWith("\\$")) return false;
  const body = pattern.slice(1, -1);
  let at = 0;
  let inGroup = false;
  let repeatedInGroup = false;
  /** True right after something that a quantifier may follow. */
  let repeatable = false;
  /** True right after a group, whose repetition must not hold another one. */
  let afterGroup = false;
  while (at < body.length) {
    const quantifier = matchAt(QUANTIFIER, body, at);
    if (quantifier !== undefined) {
      if (!repeatable || !isBounded(quantifier) || (afterGroup && repeatedInGroup)) return false;
      if (inGroup) repeatedInGroup = true;
      repeatable = false;
      at += quantifier.length;
      continue;
    }
    const character = body[at];
    if (character === "(") {
      if (inGroup || body[at + 1] === ")") return false;
      at += body.startsWith("(?:", at) ? 3 : 1;
      if (body[at] === "?") return false;
      [inGroup, repeatedInGroup, repeatable, afterGroup] = [true, false, false, false];
    } else if (character === ")") {
      if (!inGroup) return false;
      [inGroup, repeatable, afterGroup] = [false, true, true];
      at += 1;
    } else if (character === "|") {
      repeatable = false;
      at += 1;
    } else {
      const atom = matchAt(ATOM, body, at);
      if (atom === undefined || hasReversedRange(atom)) return false;
      at += atom.length;
      [repeatable, afterGroup] = [true, false];
    }
  }
  return !inGroup;
}

function matchAt(expression: RegExp, text: string, at: number): string | undefined {
  expression.lastIndex = at;
  return expression.exec(text)?.[0];
}

/** A class such as [z-a] can match nothing, and the engine fails in the middle of the answer. */
function hasReversedRange(atom: string): boolean {
  if (!atom.startsWith("[")) return false;
  const ranges = atom.slice(1, -1).matchAll(/(\\?.)-(\\?.)/gu);
  return [...ranges].some(([, from = "", to = ""]) => {
    const isClass = /^\\[dwsDWS]$/;
    if (isClass.test(from) || isClass.test(to)) return true;
    return (from.codePointAt(from.length - 1) ?? 0) > (to.codePointAt(to.length - 1) ?? 0);
  });
}

function isBounded(quantifier: string): boolean {
  const counts = quantifier.match(/\d+/g) ?? [];
  return counts.every((count) => Number(count) <= REPETITIONS_MAX);
}
