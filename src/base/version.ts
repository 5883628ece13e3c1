/** The version that every role reports; equal to package.json's, which a test checks. */
export const VERSION = "0.1.0";

/** The package's version; the build puts it in. */
declare const CORTEX_BUILD_LABEL: string | undefined;

/**
 * The version with what tells builds apart: commits since the tag, date and hash, as a package has it; the version
 * alone where nothing was stamped, as in a checkout.
 */
export const BUILD = typeof CORTEX_BUILD_LABEL === "undefined" ? VERSION : CORTEX_BUILD_LABEL;
