/** Colors that segments of memory have; see colors.css. */
const COLOR_COUNT = 8;

/** A color for each model: the same on every neuron, unless another model of the device has it. */
export function colorModels(models: readonly string[]): Map<string, string> {
  const taken = new Set<number>();
  const colors = new Map<string, string>();
  for (const model of models) {
    let color = hash(model) % COLOR_COUNT;
    for (let tries = 1; taken.has(color) && tries < COLOR_COUNT; tries += 1) {
      color = (color + 1) % COLOR_COUNT;
    }
    taken.add(color);
    colors.set(model, `color${color}`);
  }
  return colors;
}

function hash(text: string): number {
  let value = 0;
  for (const character of text) value = (value * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return value;
}
