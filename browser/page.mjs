// Runs the scripts of a page made by siamese_jax.pages.draw_page in Node, without a browser.
//
//     node browser/page.mjs draw.html < request.json
//
// The request has lists of numbers; the answer has what the page computes from them, as JSON. `node` in conftest.py asks it.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const html = readFileSync(process.argv[2], "utf8");
const parts = new Map([...html.matchAll(/<script [^>]*id="([^"]*)">([^]*?)<\/script>/g)].map(([, id, text]) => [id, text]));
const document = { getElementById: (id) => ({ textContent: parts.get(id) }) };
const shared = { document, atob, Blob, Response, DecompressionStream, TextDecoder, performance, console };
const page = vm.createContext(shared);
for (const name of ["ink", "network", "embedder", "decide", "game"]) vm.runInContext(parts.get(`${name}-code`), page);
const answer = `(async (request) => {
  const facts = JSON.parse(ofPage("facts")), arrays = arraysOf(facts.shapes, await unpacked(ofPage("weights")));
  const embed = makeNetwork(facts, arrays), compare = makeCompare(facts, arrays);
  const found = {};
  if (request.sheets) found.read = request.sheets.map(({ side, ink, fit }) => {
    const sheet = { height: side, width: side, ink: Uint8Array.from(ink) };
    return [...averageAreas(fit === "ink" ? framed(sheet) : sheet, facts.side).ink];
  });
  if (request.images) {
    const images = request.images.map((image) => Uint8Array.from(image));
    embed(images[0]);
    const begun = performance.now();
    found.embeddings = images.map((image) => [...embed(image)]);
    found.milliseconds = (performance.now() - begun) / images.length;
  }
  if (request.queries) {
    const [queries, classes] = [request.queries, request.classes].map((list) => list.map((one) => Float32Array.from(one)));
    const of = request.of, names = [...new Set(of)];
    found.scores = queries.map((query) => names.map((name) =>
      scoreOfClass(compare, facts.combine, query, classes.filter((_, place) => of[place] === name))));
    found.decisions = found.scores.map((scores) => decide(facts.decisions, scores));
  }
  if (request.rankings) found.rankings = request.rankings.map((scores) => decide(facts.decisions, scores));
  if (request.glyphs) {
    const { scripts, drawers, drawing } = readGlyphs(await unzipped(ofPage("glyphs")));
    found.glyphs = { scripts, drawers, drawings: request.glyphs.map((one) => [...drawing(...one).ink]) };
  }
  if (request.gallery) found.gallery = [...await unpacked(ofPage("embeddings"))];
  return JSON.stringify(found);
})`;
const request = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(await vm.runInContext(answer, page)(request));
