import type { PayloadFile } from "./payload.ts";
import type { Scriptlets } from "./scriptlets.ts";
import type { VersionStamp } from "./version-stamp.ts";

/** One package: what it is called, says, needs and holds. */
export interface PackagePlan {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly provides: readonly string[];
  readonly conflicts: readonly string[];
  readonly requires: readonly string[];
  readonly files: readonly PayloadFile[];
  /** Folders that other packages may hold as well. */
  readonly folders: readonly string[];
  readonly scriptlets: Scriptlets;
}

/** The one release of a version: another build of the same commit is the same package. */
export const RELEASE = "1";

/**
 * The spec of a package whose files lie ready in the folder that the macro `payload` names. It uses no macro that only
 * some builders have.
 */
export function formatSpec(plan: PackagePlan, stamp: VersionStamp): string {
  const tags = (name: string, values: readonly string[]) =>
    values.map((value) => `${name}: ${value}`);
  return `${[
    "# Made by scripts/package.ts.",
    "%global debug_package %{nil}",
    "# Stripped, the executable would be a plain bun.",
    "%global __os_install_post %{nil}",
    "# Every executable that Bun makes has the same build id.",
    "%global _build_id_links none",
    "# The driver's library comes from NVIDIA's installer as often as from a package.",
    "%global __requires_exclude ^libcuda[.]so",
    "%global __provides_exclude ^libneuron_",
    "",
    `Name: ${plan.name}`,
    `Version: ${stamp.version}`,
    `Release: ${RELEASE}`,
    `Summary: ${plan.summary}`,
    "License: GPL-3.0-only",
    "ExclusiveArch: x86_64",
    ...tags("Provides", plan.provides),
    ...tags("Conflicts", plan.conflicts),
    ...tags("Requires", [...plan.requires, "systemd"]),
    "",
    "%description",
    plan.description,
    `Built from the commit ${stamp.commit}.`,
    "",
    "%prep",
    "",
    "%build",
    "",
    "%install",
    'cp -a "%{payload}/." "%{buildroot}/"',
    "",
    ...Object.entries(plan.scriptlets).flatMap(([name, text]) => [`%${name}`, text, ""]),
    "%files",
    "%defattr(-,root,root,-)",
    ...plan.folders.map((folder) => `%dir %attr(0755,root,root) ${folder}`),
    ...plan.files.map(formatFile),
    "",
    "%changelog",
    `* ${changelogDate(stamp)} cortex - ${stamp.version}-${RELEASE}`,
    `- Built from the commit ${stamp.commit}`,
  ].join("\n")}\n`;
}

function formatFile({ path, mode, kind }: PayloadFile): string {
  const marks = { plain: "", config: "%config(noreplace) ", doc: "%doc ", license: "%license " };
  return `${marks[kind]}%attr(${mode.toString(8).padStart(4, "0")},root,root) ${path}`;
}

/** Tue Nov 24 2026, whatever the locale. */
function changelogDate({ epochSeconds }: VersionStamp): string {
  const text = new Date(epochSeconds * 1000).toUTCString();
  const [, weekday, day, month, year] = /^(\w+), (\d+) (\w+) (\d+)/.exec(text) ?? [];
  return `${weekday} ${month} ${day} ${year}`;
}
