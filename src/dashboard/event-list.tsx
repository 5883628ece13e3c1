import { formatTime } from "./format.ts";
import { SectionHead } from "./section-head.tsx";
import { store } from "./store.ts";

/** The newest lines of the gateway's log, the last one first. */
export function EventList() {
  const numbers = store.events.keys.value.toReversed();
  return (
    <section id="events" aria-labelledby="events-title">
      <SectionHead id="events" title="Events" count="the newest first" />
      {numbers.length === 0 && <p class="empty">Nothing has happened yet.</p>}
      {numbers.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard has to be able to scroll it.
        <ol class="panel events" tabIndex={0} aria-label="Events, the newest first">
          {numbers.map((number) => (
            <EventLine key={number} number={number} />
          ))}
        </ol>
      )}
    </section>
  );
}

function EventLine({ number }: { number: string }) {
  const event = store.events.read(number);
  if (event === undefined) return null;
  return (
    <li>
      <time dateTime={new Date(event.at_ms).toISOString()}>{formatTime(event.at_ms)}</time>
      <span>
        {event.level !== "info" && <span class={`badge ${event.level}`}>{event.level}</span>}
        {event.text}
      </span>
      <span class="fields">
        {Object.entries(event.fields)
          .map(([name, value]) => `${name}=${value}`)
          .join("  ")}
      </span>
    </li>
  );
}
