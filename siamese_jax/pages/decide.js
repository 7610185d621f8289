"use strict";
// From embeddings to decisions: siamese_jax/network/energies, gallery/search.py and statistics/rules.py.

const ENERGIES = {
  weighted_l1: (left, right, weight) => sum(left, (value, unit) => weight[unit] * Math.abs(value - right[unit])),
  l1_distance: (left, right, weight) => -sum(left, (value, unit) => Math.abs(weight[unit] * (value - right[unit]))),
  euclidean: (left, right, weight) => {
    const square = sum(left, (value, unit) => (value - right[unit]) ** 2);
    return (-weight[0] * square) / Math.sqrt(square + 1e-12);
  },
  cosine: (left, right, weight) => {
    const product = sum(left, (value, unit) => value * right[unit]);
    const [first, second] = [left, right].map((embedding) => sum(embedding, (value) => value * value) + 1e-12);
    return weight[0] * (product / Math.sqrt(first * second) - 1);
  },
};

function sum(values, of) {
  let total = 0;
  for (let place = 0; place < values.length; place++) total += of(values[place], place);
  return total;
}

/** Returns the function that gives the score of two embeddings, a logit of "same". */
function makeCompare({ network }, arrays) {
  const energy = ENERGIES[network.energy];
  return (left, right) => energy(left, right, arrays["out/weight"]) + arrays["out/bias"][0];
}

/** Returns the score of a query for a class with some embeddings; `combine` as the field `evaluation.combine` says. */
function scoreOfClass(compare, combine, query, embeddings) {
  if (combine === "mean_embedding") {
    const mean = query.map((_, unit) => sum(embeddings, (one) => one[unit]) / embeddings.length);
    return compare(mean, query);
  }
  const scores = embeddings.map((one) => compare(one, query));
  return combine === "best_score" ? Math.max(...scores) : sum(scores, (score) => score) / scores.length;
}

/** Returns a value for a gallery of any size: linear in the logarithm of the size, from [size, value] that were measured. */
function atSize(classes, measured) {
  if (measured.length === 1) return measured[0][1];
  const place = measured.findIndex(([size]) => size >= classes);
  const upper = Math.min(measured.length - 1, Math.max(1, place < 0 ? measured.length : place));
  const [low, first] = measured[upper - 1], [high, second] = measured[upper];
  return first + ((second - first) * Math.log(classes / low)) / Math.log(high / low);
}

/** Returns the probability of each class, and whether the best is too far; both null if the network has no rules. */
function decide(decisions, scores) {
  if (!decisions) return { probabilities: null, unknown: null };
  const of = (value) => decisions.sizes.map((one) => [one.classes, one[value]]).filter(([, number]) => number !== null);
  const temperatures = of("temperature").map(([size, value]) => [size, Math.log(value)]);
  const temperature = Math.exp(atSize(scores.length, temperatures)), best = Math.max(...scores);
  const weights = scores.map((score) => Math.exp((score - best) / temperature));
  const total = sum(weights, (weight) => weight), thresholds = of("threshold");
  return {
    probabilities: weights.map((weight) => weight / total),
    unknown: !thresholds.length || best < atSize(scores.length, thresholds),
  };
}
