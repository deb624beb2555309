// A shader's file, imported as its text.
declare module "*.wgsl" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: this is how bundlers export a file as text
  export default text;
}
