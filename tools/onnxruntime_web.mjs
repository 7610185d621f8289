// Answers lines of JSON with what an exported network computes in WebAssembly.
//
//     node tools/onnxruntime_web.mjs DIR NODE_MODULES
//
// DIR is an export, whose own example.mjs is used. `onnxruntime_web.py` asks it. Arrays are base64 of little-endian.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, modules] = process.argv.slice(2);
const ort = createRequire(`${modules}/`)("onnxruntime-web");
const example = await import(pathToFileURL(`${folder}/example.mjs`));
ort.env.wasm.numThreads = 1;
const network = await example.open(ort, async (name) => new Uint8Array(await readFile(`${folder}/${name}`)));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
const floats = (text) => new Float32Array(bytes(text).buffer);
const answers = {
  embed: ({ images, count }) => network.embed(bytes(images), count),
  scores: ({ queries, supports, q, n, k }) => network.scores(floats(queries), q, floats(supports), n, k),
  read: ({ rgba, width, height }) => example.read(bytes(rgba), width, height, network.reading),
  p_same: ({ score, prior }) => Float32Array.of(example.pSame(score, network.reading, prior)),
};
for await (const line of createInterface({ input: process.stdin })) {
  const { what, ...given } = JSON.parse(line);
  const found = await answers[what](given);
  console.log(JSON.stringify(Buffer.from(found.buffer, found.byteOffset, found.byteLength).toString("base64")));
}
