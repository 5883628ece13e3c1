/** The middle value; the mean of the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** `median [min-max]` of ratios, the form in which every bench reports. */
export function spreadOf(values: readonly number[]): string {
  const least = Math.min(...values).toFixed(2);
  const most = Math.max(...values).toFixed(2);
  return `${median(values).toFixed(2)} [${least}-${most}]`;
}

/** Each value by the reference's of the same round. */
export function ratios(values: readonly number[], reference: readonly number[]): number[] {
  return values.map((value, index) => value / (reference[index] ?? Number.NaN));
}

/** Columns aligned for a terminal; the first to the left, the rest to the right. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const widths = header.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ");
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join(
    "\n",
  );
}
