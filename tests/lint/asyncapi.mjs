// Reads the AsyncAPI page with the official parser; every error and warning is printed, and any of them fails.
import { readFileSync } from "node:fs";
import { Parser, DiagnosticSeverity } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf-8"));
const grave = diagnostics.filter((one) => one.severity <= DiagnosticSeverity.Warning);
for (const one of grave) {
  console.error(`${file}:${one.range.start.line + 1}: ${one.code}: ${one.message} (${one.path.join(".")})`);
}
if (!document || grave.length) process.exit(1);
console.log(`${document.channels().length} channels, ${document.allMessages().length} messages: read without complaint`);
