/** What rpm runs around an installation, by its own names. */
export interface Scriptlets {
  readonly post: string;
  readonly preun: string;
  readonly posttrans: string;
  readonly postun: string;
}

/** Units of a package; templates are named for stopping and restarting by a pattern. */
export interface ScriptletOptions {
  readonly units: readonly string[];
  /** Patterns of started instances, neuron@*.service. */
  readonly instances?: readonly string[];
  readonly sysusers: string;
  readonly tmpfiles?: string;
  /** A pattern of files, one for each installed flavour, and the own one. */
  readonly flavours?: { readonly pattern: string; readonly own: string };
  /** How running units take up the new version. */
  readonly renew: "try-restart" | "try-reload-or-restart";
}

/**
 * The work of rpm's systemd macros in plain sh, which is all that a minimal system has. Whoever exchanges one flavour
 * for another keeps an enabled service enabled: rpm installs the new package before it erases the old one.
 *  1. post: users and folders; units take the system's preset at the first installation, but not at an exchange
 *  2. preun: units are stopped and disabled at the last erasure, but not at an exchange
 *  3. posttrans: running units take up the new version, once every package is in place
 *  4. postun: the manager forgets units that are gone
 */
export function formatScriptlets(options: ScriptletOptions): Scriptlets {
  const { units, instances = [], sysusers, tmpfiles, renew } = options;
  const running = [...units, ...instances.map((pattern) => `'${pattern}'`)].join(" ");
  const disable = [
    `    systemctl --no-reload disable ${units.join(" ")} || :`,
    ...instances.map(disableInstances),
    `    [ ! -d /run/systemd/system ] || systemctl stop ${running} || :`,
  ];
  return {
    post: script([
      guard("systemd-sysusers", [`  systemd-sysusers ${sysusers} || :`]),
      ...(tmpfiles === undefined
        ? []
        : [guard("systemd-tmpfiles", [`  systemd-tmpfiles --create ${tmpfiles} || :`])]),
      'if [ "$1" -eq 1 ] && [ -x /usr/bin/systemctl ]; then',
      ...unlessExchanged(options, [`    systemctl --no-reload preset ${units.join(" ")} || :`]),
      "fi",
    ]),
    preun: script([
      'if [ "$1" -eq 0 ] && [ -x /usr/bin/systemctl ]; then',
      ...unlessExchanged(options, disable),
      "fi",
    ]),
    posttrans: script([
      guard("systemctl", [
        "  [ ! -d /run/systemd/system ] || {",
        "    systemctl daemon-reload || :",
        `    systemctl ${renew} ${running} || :`,
        "  }",
      ]),
    ]),
    postun: script([
      guard("systemctl", ["  [ ! -d /run/systemd/system ] || systemctl daemon-reload || :"]),
    ]),
  };
}

/** `disable` takes no pattern and no template; the links of enabled instances name them. */
function disableInstances(pattern: string): string {
  return [
    `    for link in /etc/systemd/system/*.wants/${pattern}; do`,
    `      [ ! -L "$link" ] || systemctl --no-reload disable "\${link##*/}" || :`,
    "    done",
  ].join("\n");
}

function guard(program: string, body: readonly string[]): string {
  return [`if [ -x /usr/bin/${program} ]; then`, ...body, "fi"].join("\n");
}

/** Leaves the lines out where another flavour's file lies beside the own one. */
function unlessExchanged(
  { flavours }: ScriptletOptions,
  lines: readonly string[],
): readonly string[] {
  if (flavours === undefined) return lines;
  return [
    "  exchanged=",
    `  for file in ${flavours.pattern}; do`,
    `    [ "$file" = ${flavours.own} ] || [ ! -e "$file" ] || exchanged=yes`,
    "  done",
    '  if [ -z "$exchanged" ]; then',
    ...lines.map((line) => `  ${line}`),
    "  fi",
  ];
}

function script(lines: readonly string[]): string {
  // A scriptlet that fails fails the transaction half-way.
  return [...lines, "exit 0"].join("\n");
}
