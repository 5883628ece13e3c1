import { ColumnHeads, type Columns } from "./column-heads.tsx";
import { countThings, formatAge, formatCount, formatOr, formatSeconds } from "./format.ts";
import { SectionHead } from "./section-head.tsx";
import { now, store } from "./store.ts";

const COLUMNS: Columns = [
  ["Model", false],
  ["Endpoint", false],
  ["Neuron", false],
  ["Why there", false],
  ["Now", false],
  ["For", true],
  ["First byte", true],
  ["Tokens", true],
];

/** What is being asked now. */
export function RequestList() {
  const numbers = store.requests.keys.value;
  const unlisted = store.gateway.read("gateway")?.requests_unlisted ?? 0;
  const count = numbers.length + unlisted;
  return (
    <section id="requests" aria-labelledby="requests-title">
      <SectionHead id="requests" title="Requests" count={`${formatCount(count)} under way`} />
      {numbers.length === 0 && <p class="empty">Nobody asks anything at the moment.</p>}
      {numbers.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard has to be able to scroll it.
        <section class="panel scroll" tabIndex={0} aria-label="Requests under way">
          <table>
            <ColumnHeads columns={COLUMNS} />
            <tbody>
              {numbers.map((number) => (
                <RequestRow key={number} number={number} />
              ))}
            </tbody>
          </table>
        </section>
      )}
      {unlisted > 0 && <p class="quiet">And {countThings(unlisted, "request")} more.</p>}
    </section>
  );
}

function RequestRow({ number }: { number: string }) {
  const request = store.requests.read(number);
  if (request === undefined) return null;
  return (
    <tr>
      <th scope="row">{request.model}</th>
      <td class="quiet">{request.endpoint}</td>
      <td>{request.neuron ?? "–"}</td>
      <td>{request.reason ?? "–"}</td>
      <td>
        {request.phase}
        {request.stream ? "" : ", whole"}
      </td>
      <td class="number">
        <Age sinceMs={request.started_ms} />
      </td>
      <td class="number">{formatOr(request.ttft_seconds, formatSeconds)}</td>
      <td class="number">{formatCount(request.tokens)}</td>
    </tr>
  );
}

function Age({ sinceMs }: { sinceMs: number }) {
  return <>{formatAge((now.value - sinceMs) / 1_000)}</>;
}
