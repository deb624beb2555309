// Writes the .d.ts files of every package into its dist. All packages share one TypeScript program, so that library
// types are parsed once.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
const { options } = ts.convertCompilerOptionsFromJson(
  { ...config.compilerOptions, noEmit: false, declaration: true, emitDeclarationOnly: true, stripInternal: true },
  root,
);
const sources = ts.sys.readDirectory(root, [".ts"], undefined, ["packages/*/src"]);

const program = ts.createProgram(sources, options);
const { diagnostics } = program.emit(undefined, (file, text, mark) =>
  ts.sys.writeFile(file.replace(/(\/packages\/[^/]+)\/src\//, "$1/dist/"), text, mark),
);
if (diagnostics.length > 0) {
  console.error(
    ts.formatDiagnostics(diagnostics, {
      getCanonicalFileName: (file) => file,
      getCurrentDirectory: () => root,
      getNewLine: () => "\n",
    }),
  );
  process.exit(1);
}
