/** Files of swagger-ui-dist, imported by path: from the package in a checkout, embedded in a compiled executable. */
declare module "swagger-ui-dist/swagger-ui-bundle.js" {
  const path: string;
  export = path;
}
declare module "swagger-ui-dist/swagger-ui.css" {
  const path: string;
  export = path;
}
