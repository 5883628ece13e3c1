/** Headers are imported as their text. */
declare module "*.h" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: what a text import gives
  export default text;
}
