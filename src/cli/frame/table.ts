/** A cell, or a cell with a colour that must not count as width. */
export type Cell = string | { readonly text: string; readonly paint: (text: string) => string };

/** Rows under a header, columns aligned and two spaces apart; `right` names columns that hold numbers. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: {
    readonly right?: readonly string[];
    readonly paintHeader?: (text: string) => string;
  } = {},
): string {
  const widths = header.map((title, column) =>
    Math.max(Bun.stringWidth(title), ...rows.map((row) => Bun.stringWidth(textOf(row[column])))),
  );
  const isRight = header.map((title) => options.right?.includes(title) === true);
  const line = (cells: readonly Cell[]) =>
    header
      .map((_, column) => {
        const cell = cells[column] ?? "";
        const text = textOf(cell);
        const isLast = column === header.length - 1;
        const gap = " ".repeat((widths[column] ?? 0) - Bun.stringWidth(text));
        const shown = typeof cell === "string" ? text : cell.paint(text);
        if (isRight[column]) return gap + shown;
        return isLast ? shown : shown + gap;
      })
      .join("  ")
      .trimEnd();
  const paintHeader = options.paintHeader ?? ((text: string) => text);
  return [paintHeader(line(header)), ...rows.map(line)].join("\n");
}

function textOf(cell: Cell | undefined): string {
  if (cell === undefined) return "";
  return typeof cell === "string" ? cell : cell.text;
}
