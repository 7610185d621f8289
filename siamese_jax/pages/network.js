"use strict";
// The residual tower, in plain JavaScript: siamese_jax/network/towers/residual.py. Features are [row, column, channel].

const GROUP = 8, TINY = 1e-5;

/** Returns the function that embeds one image: a Uint8Array [side · side], 255 for full ink -> Float32Array [D]. */
function makeNetwork({ network, side: imageSide }, arrays) {
  const { width, stages, normalisation, head, units } = network;
  return (pixels) => {
    let features = Float32Array.from(pixels, (value) => value / 255), side = imageSide, channels = 1;

    const layer = (name, input, filters, { pool = false, relu = false } = {}) => {
      let output = convolve(input, side, input.length / (side * side), arrays[`${name}/kernel`], filters);
      if (pool) output = maxPool(output, side, filters);
      normalise(output, filters, normalisation, arrays[`${name}/scale`], arrays[`${name}/bias`], relu);
      return output;
    };

    features = layer("stem", features, width, { pool: true, relu: true });
    [side, channels] = [side >> 1, width];
    for (let stage = 1; stage <= stages; stage++) {
      const filters = width * 2 ** (stage - 1);
      const inside = layer(`stage${stage}b`, layer(`stage${stage}a`, features, filters, { relu: true }), filters);
      if (channels !== filters) features = project(features, channels, arrays[`stage${stage}_around/kernel`], filters);
      for (let place = 0; place < inside.length; place++) inside[place] += features[place];
      features = maxPool(inside, side, filters).map((value) => Math.max(0, value));
      [side, channels] = [side >> 1, filters];
    }
    const embedding = project(features, features.length, arrays["fc/kernel"], units);
    return embedding.map((value, unit) => {
      const sum = value + arrays["fc/bias"][unit];
      return head === "sigmoid" ? 1 / (1 + Math.exp(-sum)) : sum;
    });
  };
}

/** Correlates with 3×3 kernels [3, 3, channels, filters]; zeros around the image keep its side. */
function convolve(input, side, channels, kernel, filters) {
  const output = new Float32Array(side * side * filters), patch = new Patch(9 * channels, filters);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      for (let down = -1; down <= 1; down++) {
        for (let across = -1; across <= 1; across++) {
          const r = row + down, c = column + across;
          if (r < 0 || r >= side || c < 0 || c >= side) continue;
          patch.add(input, (r * side + c) * channels, channels, (3 * down + across + 4) * channels);
        }
      }
      patch.multiply(kernel, output, (row * side + column) * filters);
    }
  }
  return output;
}

/** Returns the product of features [N, channels] and a kernel [channels, filters]. */
function project(input, channels, kernel, filters) {
  const pixels = input.length / channels, output = new Float32Array(pixels * filters);
  const patch = new Patch(channels, filters);
  for (let pixel = 0; pixel < pixels; pixel++) {
    patch.add(input, pixel * channels, channels, 0);
    patch.multiply(kernel, output, pixel * filters);
  }
  return output;
}

/** The numbers that one output pixel depends on, without zeros: paper, or ReLUs that are off, are half of them. */
class Patch {
  constructor(most, filters) {
    this.values = new Float64Array(most + 3);
    this.rows = new Int32Array(most + 3);
    this.sums = new Float64Array(filters);
    this.count = 0;
  }

  /** Adds the channels of one pixel; they belong to rows of the kernel from `row` on. */
  add(input, from, channels, row) {
    const { values, rows, sums } = this;
    for (let channel = 0; channel < channels; channel++) {
      const value = input[from + channel];
      if (value === 0) continue;
      values[this.count] = value;
      rows[this.count++] = (row + channel) * sums.length;
    }
  }

  /** Writes the product with a kernel [rows, filters], and forgets the numbers. Four rows at a time are fastest. */
  multiply(kernel, output, to) {
    const { values, rows, sums, count } = this, filters = sums.length;
    values.fill(0, count, count + 3);
    sums.fill(0);
    for (let place = 0; place < count; place += 4) {
      const a = values[place], b = values[place + 1], c = values[place + 2], d = values[place + 3];
      const i = rows[place], j = rows[place + 1], k = rows[place + 2], l = rows[place + 3];
      for (let filter = 0; filter < filters; filter++) {
        sums[filter] += a * kernel[i + filter] + b * kernel[j + filter] + c * kernel[k + filter] + d * kernel[l + filter];
      }
    }
    output.set(sums, to);
    this.count = 0;
  }
}

/** Takes the maximum of every 2×2 block; an odd last row or column is dropped. */
function maxPool(input, side, channels) {
  const half = side >> 1, output = new Float32Array(half * half * channels), below = side * channels;
  for (let row = 0; row < half; row++) {
    for (let column = 0; column < half; column++) {
      const from = (2 * row * side + 2 * column) * channels, to = (row * half + column) * channels;
      for (let channel = 0; channel < channels; channel++) {
        const a = from + channel, b = a + channels;
        output[to + channel] = Math.max(input[a], input[b], input[a + below], input[b + below]);
      }
    }
  }
  return output;
}

/** Normalises in place: mean 0 and variance 1 over all pixels and channels of a group; then scale, bias and ReLU. */
function normalise(features, channels, kind, scale, bias, relu) {
  const together = kind === "layer" ? channels : GROUP, pixels = features.length / channels;
  const factor = new Float64Array(channels).fill(1), shift = Float64Array.from(bias);
  for (let first = 0; kind !== "none" && first < channels; first += together) {
    let sum = 0, squares = 0;
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let place = pixel * channels + first; place < pixel * channels + first + together; place++) {
        sum += features[place];
        squares += features[place] * features[place];
      }
    }
    const count = pixels * together, mean = sum / count;
    const deviation = Math.sqrt(Math.max(squares / count - mean * mean, 0) + TINY);
    for (let channel = first; channel < first + together; channel++) {
      factor[channel] = scale[channel] / deviation;
      shift[channel] -= mean * factor[channel];
    }
  }
  for (let place = 0; place < features.length; place++) {
    const channel = place % channels, value = features[place] * factor[channel] + shift[channel];
    features[place] = relu && value < 0 ? 0 : value;
  }
}
