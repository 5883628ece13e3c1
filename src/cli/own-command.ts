/** How this very program is started once more: compiled it is one file, in source form Bun and the entry point. */
export function ownCommand(): readonly string[] {
  return Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, Bun.main];
}
