/** What a table's columns are called, and whether they hold numbers. */
export type Columns = readonly (readonly [name: string, isNumber: boolean])[];

/** The head of a table. */
export function ColumnHeads({ columns }: { columns: Columns }) {
  return (
    <thead>
      <tr>
        {columns.map(([name, isNumber]) => (
          <th key={name} scope="col" class={isNumber ? "number" : undefined}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}
