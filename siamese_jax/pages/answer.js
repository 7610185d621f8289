"use strict";
// Shows which classes a drawing may be of. Names are hostile until they are text.

/** Returns a new element with text and a class. */
function element(name, text = "", style = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (style) made.className = style;
  return made;
}

/** Returns a probability in per cent; never 0 or 100, which no estimate is. */
function percent(share) {
  if (share > 0.99) return "> 99 %";
  return share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`;
}

/**
 * Shows an answer: {unknown, matches, why, note}. `matches` are {name, probability, score, picture}, best first, where
 * `picture` is an element. Without matches only `why` is shown.
 */
function showAnswer({ unknown = null, matches = [], why = "", note = "" }) {
  const verdict = document.getElementById("verdict"), ranking = document.getElementById("ranking");
  const best = matches[0];
  verdict.classList.toggle("unknown", unknown === true);
  verdict.classList.toggle("waiting", !best);
  verdict.textContent = !best ? why : unknown ? "Unknown" : best.name;
  const near = document.getElementById("pad-answer"); // where the page is narrow the answer is far below the pad
  near.hidden = !best;
  near.textContent = verdict.textContent;
  ranking.replaceChildren(
    ...matches.map(({ name, probability, score, picture }) => {
      const item = element("li"), bar = element("span", "", "bar"), filled = element("span");
      filled.style.width = `${100 * (probability ?? 0)}%`;
      bar.append(filled);
      bar.hidden = probability === null;
      const said = probability === null ? `score ${score.toFixed(2)}` : percent(probability);
      picture.classList.add("paper");
      item.append(picture, element("span", name, "name"), element("span", said, "number"), bar);
      return item;
    }),
  );
  const nearest = unknown ? "Not near enough to any class. The probabilities hold if it is one of them. " : "";
  document.getElementById("note").textContent = best ? nearest + (why || note) : "";
}
