import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

/** The title of a section, beside it how much there is, and at the end of the line what narrows it. */
export function SectionHead(props: {
  id: string;
  title: string;
  count?: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="head">
      <h2 id={`${props.id}-title`}>{props.title}</h2>
      {props.count !== undefined && <span class="quiet">{props.count}</span>}
      <div class="tools">{props.children}</div>
    </div>
  );
}

/** Narrows a list to what has a text in its name. */
export function Search({ label, filter }: { label: string; filter: Signal<string> }) {
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={label}
      value={filter.value}
      onInput={(event) => {
        filter.value = event.currentTarget.value;
      }}
    />
  );
}
