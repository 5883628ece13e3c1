interface PageHashes {
  readonly scripts?: readonly string[];
  readonly styles?: readonly string[];
}

/**
 * The headers of a page of ours and of its files: it loads nothing from anywhere but this server, and nobody may show
 * it within another. Scripts may write styles through the style object, which needs no exception; icons are data.
 * `scripts` and `styles` are hashes of those that stand in the page itself.
 */
export function pageHeaders({
  scripts = [],
  styles = [],
}: PageHashes = {}): Readonly<Record<string, string>> {
  const allow = (hashes: readonly string[]) =>
    ["'self'", ...hashes.map((hash) => `'${hash}'`)].join(" ");
  return {
    "content-security-policy":
      `default-src 'none'; script-src ${allow(scripts)}; style-src ${allow(styles)}; ` +
      "connect-src 'self'; " +
      "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  };
}
