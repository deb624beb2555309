// A shader's file, imported as its text.
declare module "*.wgsl" {
  const text: string;
  export default text;
}
