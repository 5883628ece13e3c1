/** A state as a word with a dot in its color; what is known by its color alone is known to few. */
export function Badge({ state }: { state: string }) {
  return <span class={`badge ${state}`}>{state.replace("_", " ")}</span>;
}
