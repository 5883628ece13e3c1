import { formatOr, formatSeconds } from "./format.ts";
import { now, store } from "./store.ts";

const COLUMNS = ["Model", "Endpoint", "Neuron", "Why there", "Now", "For", "First byte", "Tokens"];

/** What is being asked now. */
export function RequestList() {
  const numbers = store.requests.keys.value;
  const unlisted = store.gateway.read("gateway")?.requests_unlisted ?? 0;
  return (
    <section id="requests" aria-labelledby="requests-title">
      <h2 id="requests-title">Requests</h2>
      {numbers.length === 0 && <p class="quiet">Nothing is asked now.</p>}
      {numbers.length > 0 && (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                {COLUMNS.map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {numbers.map((number) => (
                <RequestRow key={number} number={number} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {unlisted > 0 && <p class="quiet">And {unlisted} more.</p>}
    </section>
  );
}

function RequestRow({ number }: { number: string }) {
  const request = store.requests.read(number);
  if (request === undefined) return null;
  return (
    <tr>
      <th scope="row">{request.model}</th>
      <td>{request.endpoint}</td>
      <td>{request.neuron ?? "–"}</td>
      <td>{request.reason ?? "–"}</td>
      <td>
        {request.phase}
        {request.stream ? "" : ", whole"}
      </td>
      <td>
        <Age sinceMs={request.started_ms} />
      </td>
      <td>{formatOr(request.ttft_seconds, formatSeconds)}</td>
      <td>{request.tokens}</td>
    </tr>
  );
}

function Age({ sinceMs }: { sinceMs: number }) {
  return <>{formatSeconds(Math.max(1, Math.round((now.value - sinceMs) / 1_000)))}</>;
}
