import { store } from "./store.ts";

/** The newest lines of the gateway's log, the last one first. */
export function EventList() {
  const numbers = store.events.keys.value.toReversed();
  return (
    <section id="events" aria-labelledby="events-title">
      <h2 id="events-title">Events</h2>
      {numbers.length === 0 && <p class="quiet">Nothing has happened yet.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard has to be able to scroll it. */}
      <ol class="events" tabIndex={0} aria-label="Events, the newest first">
        {numbers.map((number) => (
          <EventLine key={number} number={number} />
        ))}
      </ol>
    </section>
  );
}

function EventLine({ number }: { number: string }) {
  const event = store.events.read(number);
  if (event === undefined) return null;
  const at = new Date(event.at_ms);
  return (
    <li>
      <time dateTime={at.toISOString()}>{at.toLocaleTimeString()}</time>{" "}
      {event.level !== "info" && <span class={`badge ${event.level}`}>{event.level}</span>}{" "}
      {event.text}{" "}
      <span class="quiet">
        {Object.entries(event.fields)
          .map(([name, value]) => `${name}=${value}`)
          .join(" ")}
      </span>
    </li>
  );
}
