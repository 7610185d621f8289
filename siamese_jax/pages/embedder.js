"use strict";
// The parts of this file that are not shown: numbers that were packed by siamese_jax.pages, and what embeds with them.

const ofPage = (id) => document.getElementById(id).textContent;

/** Returns the bytes of an element that holds base64 of gzip. */
async function unzipped(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Returns float32 numbers that were packed as all first bytes, then all second bytes, and so on. */
async function unpacked(text) {
  const planes = await unzipped(text), count = planes.length / 4, bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < 4; plane++) {
    for (let place = 0; place < count; place++) bytes[4 * place + plane] = planes[plane * count + place];
  }
  return new Float32Array(bytes.buffer);
}

/** Returns the arrays of a network by name. `shapes` has them in the order in which `values` holds their numbers. */
function arraysOf(shapes, values) {
  let from = 0;
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const size = shape.reduce((product, length) => product * length, 1);
      return [name, values.subarray(from, (from += size))];
    }),
  );
}

/** Returns the function that embeds images: a list of Uint8Array [side · side] -> a promise of Float32Array [D] each. */
function makeEmbedder({ network, side }, arrays) {
  const begin = () => {
    let embed;
    onmessage = ({ data }) => {
      if (data.arrays) embed = makeNetwork(data.facts, data.arrays);
      else postMessage({ number: data.number, embeddings: data.images.map(embed) });
    };
  };
  const waiting = new Map(); // by number: the images, and the function that takes their embeddings
  let worker = null, here = null, number = 0;
  const stay = () => {
    // Where a browser forbids workers the page itself computes, and stands still for moments.
    worker = null;
    here ??= makeNetwork({ network, side }, arrays);
    for (const { images, resolve } of waiting.values()) resolve(images.map(here));
    waiting.clear();
  };
  try {
    const code = [ofPage("network-code"), `(${begin})();`];
    worker = new Worker(URL.createObjectURL(new Blob(code, { type: "text/javascript" })));
    worker.onerror = stay;
    worker.onmessage = ({ data }) => {
      waiting.get(data.number)?.resolve(data.embeddings);
      waiting.delete(data.number);
    };
    worker.postMessage({ facts: { network, side }, arrays });
  } catch {
    stay();
  }
  return (images) =>
    new Promise((resolve) => {
      if (!worker) return resolve(images.map(here));
      waiting.set(++number, { images, resolve });
      worker.postMessage({ number, images });
    });
}
