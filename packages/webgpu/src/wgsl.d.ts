// A shader file, imported as its text.
declare module "*.wgsl" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: bundlers export a text file as the default
  export default text;
}
