import { ActionDialog, Notice } from "./action-dialog.tsx";
import { Badge } from "./badge.tsx";
import { EventList } from "./event-list.tsx";
import { Figures } from "./figures.tsx";
import { FleetMap } from "./fleet-map.tsx";
import { formatAge } from "./format.ts";
import { HistoryCharts } from "./history-charts.tsx";
import { ModelList } from "./model-list.tsx";
import { Playground } from "./playground.tsx";
import { RequestList } from "./request-list.tsx";
import { isDrawn, now, store } from "./store.ts";

const PLACES = [
  ["fleet", "Fleet"],
  ["models", "Models"],
  ["requests", "Requests"],
  ["history", "Last hour"],
  ["events", "Events"],
  ["playground", "Playground"],
] as const;

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
        {isDrawn.value && (
          <>
            <HistoryCharts />
            <EventList />
            <Playground />
          </>
        )}
      </main>
      <ActionDialog />
      <Notice />
    </>
  );
}

function Head() {
  const gateway = store.gateway.read("gateway");
  const connection = store.connection.value;
  return (
    <header>
      <div class="bar">
        <h1>cortex</h1>
        {gateway !== undefined && <Badge state={gateway.state} />}
        <span role="status" class={connection === "lost" ? "cause" : "quiet"}>
          {connection === "lost" && "connection lost, trying again"}
          {connection === "connecting" && "connecting …"}
        </span>
        {gateway && <Uptime version={gateway.version} startedMs={gateway.started_ms} />}
        <nav aria-label="Sections">
          {PLACES.map(([id, name]) => (
            <a key={id} href={`#${id}`}>
              {name}
            </a>
          ))}
        </nav>
      </div>
    </header>
  );
}

function Uptime({ version, startedMs }: { version: string; startedMs: number }) {
  return (
    <span class="quiet">
      {version} · up {formatAge((now.value - startedMs) / 1_000)}
    </span>
  );
}
