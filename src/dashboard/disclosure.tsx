import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

/** A summary whose details are made when it is opened: hundreds of closed ones cost a line each. */
export function Disclosure(props: {
  summary: ComponentChildren;
  details: () => ComponentChildren;
}) {
  const isOpen = useSignal(false);
  return (
    <details
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>{props.summary}</summary>
      {isOpen.value && props.details()}
    </details>
  );
}
