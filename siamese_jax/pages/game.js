"use strict";
// The visitor against the network: 20 characters of one script by one drawer, and one of them by another drawer.

const WAYS = 20;

/** Returns the packed drawings: their scripts, and a function (script, character, drawer) -> sheet. */
function readGlyphs(bytes) {
  const start = bytes.indexOf(10) + 1, head = JSON.parse(new TextDecoder().decode(bytes.subarray(0, start)));
  const { side, drawers, scripts } = head, first = [0];
  for (const { characters } of scripts) first.push(first.at(-1) + characters);
  const drawing = (script, character, drawer) => {
    const sheet = emptySheet(side), from = ((first[script] + character) * drawers + drawer) * side * side;
    for (let place = 0; place < side * side; place++) {
      const bit = from + place, changes = (bytes[start + (bit >> 3)] >> (7 - (bit & 7))) & 1;
      const above = place < side ? 0 : sheet.ink[place - side];
      sheet.ink[place] = changes ? 255 - above : above;
    }
    return sheet;
  };
  return { scripts, drawers, drawing };
}

/** Returns `count` different numbers below `below`, at random. */
function sample(count, below) {
  const all = Array.from({ length: below }, (_, number) => number);
  for (let place = 0; place < count; place++) {
    const other = place + Math.floor(Math.random() * (below - place));
    [all[place], all[other]] = [all[other], all[place]];
  }
  return all.slice(0, count);
}

/** Returns a sentence on a choice of the network. */
function probably({ probability, seconds }) {
  const sure = probability === null ? "" : ` and gave it a probability of ${percent(probability)}`;
  return `The network chose in ${seconds.toFixed(1)} s${sure}.`;
}

/** Plays on this page. `embed` and `choose` are the network: images -> embeddings, and (query, supports) -> scores. */
function playGame({ glyphs, side, embed, choose, decisions }) {
  const [grid, query, status, next, mine, its] = ["grid", "query", "game-status", "next", "score-you", "score-network"].map(
    (id) => document.getElementById(id),
  );
  const score = { rounds: 0, you: 0, network: 0 };
  let round = null;

  const deal = () => {
    const [script] = sample(1, glyphs.scripts.length), { name, characters } = glyphs.scripts[script];
    const chosen = sample(WAYS, characters), [one, other] = sample(2, glyphs.drawers), [answer] = sample(1, WAYS);
    const supports = chosen.map((character) => glyphs.drawing(script, character, one));
    const asked = glyphs.drawing(script, chosen[answer], other);
    const pixels = [asked, ...supports].map((sheet) => averageAreas(sheet, side).ink);
    const begun = performance.now();
    const network = embed(pixels).then(([embedding, ...rest]) => {
      const scores = choose(embedding, rest), { probabilities } = decide(decisions, scores);
      const place = scores.indexOf(Math.max(...scores));
      return { place, probability: probabilities?.[place] ?? null, seconds: (performance.now() - begun) / 1000 };
    });
    round = { answer, network, over: false };
    showSheet(query, enlarged(asked, 2));
    grid.replaceChildren(
      ...supports.map((sheet, place) => {
        const button = element("button", "", "paper"), canvas = element("canvas");
        button.type = "button";
        button.setAttribute("aria-label", `Character ${place + 1} of ${WAYS}`);
        showSheet(canvas, enlarged(sheet, 2));
        button.append(canvas);
        button.addEventListener("click", () => answerWith(place));
        return button;
      }),
    );
    status.textContent = `Which of these ${WAYS} characters of ${name} is it?`;
    next.hidden = true;
  };

  const mark = (place, style, words) => {
    const button = grid.children[place], label = button.querySelector(".mark") ?? element("span", "", "mark");
    button.classList.add(style);
    label.textContent = label.textContent ? `${label.textContent}, ${words}` : words;
    button.append(label);
    button.setAttribute("aria-label", `Character ${place + 1} of ${WAYS}: ${label.textContent}`);
  };

  const answerWith = async (place) => {
    if (round.over) return;
    round.over = true;
    const { answer } = round, theirs = await round.network;
    score.rounds++;
    score.you += place === answer;
    score.network += theirs.place === answer;
    if (place !== answer && theirs.place !== answer) mark(answer, "right", "answer");
    mark(place, place === answer ? "right" : "wrong", "you");
    mark(theirs.place, theirs.place === answer ? "right" : "wrong", "network");
    for (const button of grid.children) button.setAttribute("aria-disabled", "true");
    const same = (place === answer) === (theirs.place === answer);
    const yours = place === answer ? "right" : "wrong", other = theirs.place === answer ? "right" : "wrong";
    status.textContent = `${same ? `Both are ${yours}` : `You are ${yours}, the network is ${other}`}. ${probably(theirs)}`;
    mine.textContent = `${score.you} of ${score.rounds}`;
    its.textContent = `${score.network} of ${score.rounds}`;
    next.hidden = false;
    next.focus({ preventScroll: true });
  };

  grid.addEventListener("keydown", (event) => {
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const moved = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const to = grid.children[[...grid.children].indexOf(document.activeElement) + moved];
    if (!moved || !to) return;
    event.preventDefault();
    to.focus();
  });
  next.addEventListener("click", () => {
    deal();
    grid.firstElementChild.focus({ preventScroll: true });
  });
  deal();
}
