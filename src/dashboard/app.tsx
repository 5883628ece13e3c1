import { ActionDialog, Notice } from "./action-dialog.tsx";
import { EventList } from "./event-list.tsx";
import { FleetMap } from "./fleet-map.tsx";
import { formatBytes, formatNumber, formatOr, formatSeconds, formatShare } from "./format.ts";
import { HistoryCharts } from "./history-charts.tsx";
import { ModelList } from "./model-list.tsx";
import { Playground } from "./playground.tsx";
import { RequestList } from "./request-list.tsx";
import { now, store } from "./store.ts";

const PLACES = [
  ["fleet", "Fleet"],
  ["models", "Models"],
  ["requests", "Requests"],
  ["history", "Last hour"],
  ["events", "Events"],
  ["playground", "Playground"],
] as const;

/** How far back a figure may lie that is shown as the newest: five minutes. */
const RECENT_SAMPLES = 60;

/** The whole page. */
export function App() {
  return (
    <>
      <a class="skip" href="#fleet">
        To the fleet
      </a>
      <Head />
      <main>
        <Figures />
        <FleetMap />
        <ModelList />
        <RequestList />
        <HistoryCharts />
        <EventList />
        <Playground />
      </main>
      <ActionDialog />
      <Notice />
    </>
  );
}

function Head() {
  const gateway = store.gateway.read("gateway");
  const connection = store.connection.value;
  const state = gateway?.state ?? "unknown";
  return (
    <header>
      <h1>cortex</h1>
      <span class={`badge ${state}`}>{state.replace("_", " ")}</span>
      {gateway && <Uptime version={gateway.version} startedMs={gateway.started_ms} />}
      <span role="status" class={connection === "live" ? "quiet" : "badge down"}>
        {connection === "lost" ? "connection lost, trying again" : connection}
      </span>
      <nav aria-label="Sections">
        {PLACES.map(([id, name]) => (
          <a key={id} href={`#${id}`}>
            {name}
          </a>
        ))}
      </nav>
    </header>
  );
}

function Uptime({ version, startedMs }: { version: string; startedMs: number }) {
  const seconds = Math.floor((now.value - startedMs) / 1_000);
  return (
    <span class="quiet">
      {version} · up {formatSeconds(Math.max(1, seconds))}
    </span>
  );
}

/** The newest figures, as of the last five seconds. */
function Figures() {
  const gateway = store.gateway.read("gateway");
  const samples = store.history.keys.value
    .slice(-RECENT_SAMPLES)
    .flatMap((key) => store.history.read(key) ?? []);
  const sample = samples.at(-1);
  // Percentiles are of those seconds in which somebody asked.
  const asked = samples.findLast(({ ttft_p50_seconds }) => ttft_p50_seconds !== null);
  const cached = samples.findLast(({ cached_share }) => cached_share !== null);
  const figures: readonly (readonly [name: string, value: string])[] = [
    ["Tokens/s", formatOr(sample?.completion_rate, formatNumber)],
    ["Requests/s", formatOr(sample?.requests_rate, formatNumber)],
    ["First token, median", formatOr(asked?.ttft_p50_seconds, formatSeconds)],
    ["First token, 95 %", formatOr(asked?.ttft_p95_seconds, formatSeconds)],
    ["In flight", formatOr(gateway?.in_flight, String)],
    ["Waiting", formatOr(gateway?.waiting, String)],
    ["Loading", formatOr(gateway?.loads, String)],
    ["Prompt from cache", formatOr(cached?.cached_share, formatShare)],
    ["Memory used", formatOr(sample?.used_bytes, formatBytes)],
  ];
  return (
    <dl class="figures" aria-label="Now">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
