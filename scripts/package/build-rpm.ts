import { mkdir, mkdtemp, readdir, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../native-progress.ts";
import { place } from "../native-source.ts";
import { layOut } from "./payload.ts";
import { formatSpec, type PackagePlan } from "./rpm-spec.ts";
import type { VersionStamp } from "./version-stamp.ts";

/** zstd's level 3: 1 s and 56 MB for the executable; 19 would take a minute and save a fifth. */
const COMPRESSION = "w3.zstdio";

/** Builds one package into a folder and returns its path. The same plan and stamp give the same bytes. */
export async function buildRpm(
  plan: PackagePlan,
  { stamp, folder }: { readonly stamp: VersionStamp; readonly folder: string },
): Promise<string> {
  const top = await mkdtemp(join(tmpdir(), "cortex-rpm-"));
  try {
    const payload = join(top, "payload");
    await layOut(plan.files, { folder: payload, stamp });
    await dateFolders(payload, stamp);
    const spec = join(top, `${plan.name}.spec`);
    await Bun.write(spec, formatSpec(plan, stamp));
    const macros = {
      _topdir: top,
      _rpmdir: join(top, "out"),
      payload,
      _buildhost: "cortex",
      _binary_payload: COMPRESSION,
      use_source_date_epoch_as_buildtime: "1",
      clamp_mtime_to_source_date_epoch: "1",
      source_date_epoch_from_changelog: "0",
    };
    const defines = Object.entries(macros).flatMap(([name, text]) => [
      "--define",
      `${name} ${text}`,
    ]);
    await run(["rpmbuild", "-bb", "--quiet", "--target", "x86_64", ...defines, spec], {
      cwd: top,
      env: { SOURCE_DATE_EPOCH: String(stamp.epochSeconds) },
    });
    const made = (await readdir(join(top, "out"), { recursive: true })).filter((name) =>
      name.endsWith(".rpm"),
    );
    const [name] = made;
    if (name === undefined || made.length > 1) {
      throw new Error(`rpmbuild made ${made.length} packages of ${plan.name}, expected one`);
    }
    await mkdir(folder, { recursive: true });
    const target = join(folder, name.split("/").at(-1) ?? name);
    await place(join(top, "out", name), target);
    return target;
  } finally {
    await rm(top, { recursive: true, force: true });
  }
}

/** Folders that a package owns carry a time as well. */
async function dateFolders(payload: string, { epochSeconds }: VersionStamp): Promise<void> {
  for (const entry of await readdir(payload, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory())
      await utimes(join(entry.parentPath, entry.name), epochSeconds, epochSeconds);
  }
}
