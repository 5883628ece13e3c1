// @ts-expect-error: the package has no types; an import of type "file" is a path.
import styleFile from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
// @ts-expect-error: as above.
import scriptFile from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };

/** Where the page's script lies, embedded so that it works on a host without the internet. Opened when asked for. */
export const SWAGGER_SCRIPT: string = scriptFile;
/** Where the page's style lies. */
export const SWAGGER_STYLE: string = styleFile;
