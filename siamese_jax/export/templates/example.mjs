// SPDX-License-Identifier: MIT
// Uses the exported network with onnxruntime-web, in a browser or in Node:
//
//     npm install onnxruntime-web
//     node example.mjs          compares this machine's results with those of JAX
//
// In a page, with the folder served over HTTP:
//
//     <script src="ort.wasm.min.js"></script>
//     <script type="module">
//       import { open, read } from "./example.mjs";
//       ort.env.wasm.numThreads = 1;                       // more need the headers COOP and COEP
//       const network = await open(ort, async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer()));
//       const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
//       const picture = read(pixels.data, pixels.width, pixels.height, network.reading);
//       const embedding = await network.embed(picture, 1);
//     </script>

// Opens the network. `load(name)` returns the bytes of a file of the folder.
export async function open(ort, load) {
  const reading = JSON.parse(new TextDecoder().decode(await load("reading.json")));
  const options = { executionProviders: ["wasm"] };
  const embedder = await ort.InferenceSession.create(await load("embed.onnx"), options);
  const comparer = await ort.InferenceSession.create(await load("compare.onnx"), options);
  const { height, width, channels } = reading.picture;
  const length = reading.embedding_size;

  // Embeds `count` pictures, a Uint8Array [count, H, W, C]: Float32Array [count, D].
  async function embed(pictures, count) {
    const images = new ort.Tensor("uint8", pictures, [count, height, width, channels]);
    return (await embedder.run({ images })).embeddings.data;
  }

  // Compares `q` queries [q, D] with `n` classes of `k` examples [n, k, D]: logits of "same", Float32Array [q, n].
  async function scores(queries, q, supports, n, k) {
    const given = {
      queries: new ort.Tensor("float32", queries, [q, length]),
      supports: new ort.Tensor("float32", supports, [n, k, length]),
    };
    return (await comparer.run(given)).scores.data;
  }

  return { reading, embed, scores };
}

// Turns pixels of a canvas, RGBA, into what the network takes: Uint8Array [H, W, C].
export function read(rgba, width, height, reading) {
  const size = reading.picture;
  const side = { pad: Math.max(width, height), crop: Math.min(width, height) }[size.fit];
  const [wide, high] = [side ?? width, side ?? height]; // the page that is resized; "squash" takes it as it is
  const [left, top] = [between(wide, width), between(high, height)];
  const ink = Array.from({ length: size.channels }, () => new Float64Array(wide * high));
  for (let y = Math.max(0, top); y < Math.min(high, top + height); y++) {
    for (let x = Math.max(0, left); x < Math.min(wide, left + width); x++) {
      const place = 4 * ((y - top) * width + x - left);
      const alpha = rgba[place + 3] / 255;
      const [r, g, b] = [0, 1, 2].map((c) => Math.round(rgba[place + c] * alpha + 255 * (1 - alpha)));
      const values = size.channels === 1 ? [(19595 * r + 38470 * g + 7471 * b + 32768) >> 16] : [r, g, b];
      values.forEach((value, c) => (ink[c][y * wide + x] = 255 - value));
    }
  }
  const [rows, columns] = [shares(high, size.height), shares(wide, size.width)];
  const picture = new Uint8Array(size.height * size.width * size.channels);
  for (let c = 0; c < size.channels; c++) {
    for (let y = 0; y < size.height; y++) {
      const line = new Float64Array(wide); // the mean of the rows that this one covers
      for (const [row, share] of rows[y]) {
        for (let x = 0; x < wide; x++) line[x] += share * ink[c][row * wide + x];
      }
      for (let x = 0; x < size.width; x++) {
        let value = 0;
        for (const [column, share] of columns[x]) value += share * line[column];
        picture[(y * size.width + x) * size.channels + c] = Math.round(value);
      }
    }
  }
  return picture;
}

// Where a picture of `length` pixels begins on a page of `space` pixels, in the middle; below 0 where it is cut.
function between(space, length) {
  return Math.trunc((space - length) / 2);
}

// For each new pixel: the old ones that it covers, with their shares in its mean.
function shares(pixels, side) {
  return Array.from({ length: side }, (_, i) => {
    const [from, to] = [(i * pixels) / side, ((i + 1) * pixels) / side];
    const covered = [];
    for (let p = Math.floor(from); p < Math.min(pixels, Math.ceil(to)); p++) {
      covered.push([p, ((Math.min(to, p + 1) - Math.max(from, p)) * side) / pixels]);
    }
    return covered;
  });
}

// The probability that two pictures show one class; `prior` is the share of pairs that do.
export function pSame(score, reading, prior = 0.5) {
  const rule = reading.decisions.same;
  return 1 / (1 + Math.exp(-(rule.slope * score + rule.intercept + Math.log(prior / (1 - prior)))));
}

// Compares with what JAX computed: the largest differences, as parts of what is allowed to be 1.
export async function check(network, kept) {
  const bytes = (name) => Uint8Array.from(atob(kept[name]), (character) => character.charCodeAt(0));
  const floats = (name) => new Float32Array(bytes(name).buffer);
  const { height, width, channels } = network.reading.picture;
  const length = network.reading.embedding_size;
  const pictures = bytes("pictures");
  const count = pictures.length / (height * width * channels);
  const embeddings = await network.embed(pictures, count);
  const supports = embeddings.slice(0, kept.supports * length);
  const scores = await network.scores(embeddings, count, supports, kept.supports, 1);
  return { embeddings: apart(embeddings, floats("embeddings")), scores: apart(scores, floats("scores")) };
}

// The largest difference, as a part of the largest value, or of 1.
function apart(found, wanted) {
  let [difference, largest] = [0, 1];
  wanted.forEach((value, i) => {
    const here = Math.abs(found[i] - value);
    difference = here <= difference ? difference : here; // a NaN stays
    largest = Math.max(largest, Math.abs(value));
  });
  return difference / largest;
}

if (typeof process !== "undefined" && import.meta.url === `file://${process.argv[1]}`) {
  const { readFile } = await import("node:fs/promises");
  const ort = await import("onnxruntime-web");
  const load = async (name) => new Uint8Array(await readFile(new URL(name, import.meta.url)));
  const kept = JSON.parse(new TextDecoder().decode(await load("check.json")));
  const differences = await check(await open(ort, load), kept);
  for (const [name, value] of Object.entries(differences)) {
    console.log(`${name}: ${value.toExponential(1)} of the largest value apart; ${kept.tolerance} is allowed`);
  }
  process.exitCode = Object.values(differences).every((value) => value <= kept.tolerance) ? 0 : 1;
}
