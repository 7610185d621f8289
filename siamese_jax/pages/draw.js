"use strict";
// The page that needs no server: what its parts do together.

const SHOWN = 5; // classes of a ranking
const EXAMPLES = 10;

async function start() {
  const facts = JSON.parse(ofPage("facts"));
  const arrays = arraysOf(facts.shapes, await unpacked(ofPage("weights")));
  const embed = makeEmbedder(facts, arrays), compare = makeCompare(facts, arrays);
  const glyphs = readGlyphs(await unzipped(ofPage("glyphs"))), gallery = new Map();
  const [list, count, steps, name, form] = ["gallery", "count", "steps", "name", "enrol"].map((id) => document.getElementById(id));
  let asked = 0;

  const embedSheet = async (sheet) => (await embed([averageAreas(sheet, facts.side).ink]))[0];
  const canvasOf = (sheet) => () => {
    const canvas = element("canvas");
    showSheet(canvas, sheet);
    return canvas;
  };
  const imageOf = (png) => () => {
    const image = element("img");
    image.src = `data:image/png;base64,${png}`;
    image.alt = "";
    return image;
  };

  /** Says which class the drawing on the pad shows. */
  const recognise = async () => {
    const number = ++asked, sheet = framed(pad.sheet());
    if (!gallery.size) return showAnswer({ why: "Nothing is enrolled yet." });
    if (!sheet) return showAnswer({ why: "Draw a character that you have enrolled, or another." });
    const query = await embedSheet(sheet);
    if (number !== asked || !gallery.size) return;
    const classes = [...gallery].map(([name, pictures]) => {
      const each = pictures.map(({ embedding }) => embedding);
      const scores = each.map((one) => compare(one, query));
      const { picture } = pictures[scores.indexOf(Math.max(...scores))];
      return { name, score: scoreOfClass(compare, facts.combine, query, each), picture };
    });
    const { probabilities, unknown } = decide(facts.decisions, classes.map(({ score }) => score));
    const ranked = classes.map((one, place) => ({ ...one, probability: probabilities?.[place] ?? null }));
    ranked.sort((a, b) => b.score - a.score);
    const note = facts.decisions
      ? `A character of no class here should be “unknown” in ${percent(1 - facts.decisions.fpir)} of the cases.`
      : "This network has no calibrated probabilities.";
    const matches = ranked.slice(0, SHOWN).map((one) => ({ ...one, picture: one.picture() }));
    showAnswer({ unknown, matches, note });
  };

  const showGallery = () => {
    count.textContent = gallery.size ? `${gallery.size}` : "";
    steps.hidden = gallery.size > 0;
    list.replaceChildren(
      ...[...gallery].map(([name, pictures]) => {
        const item = element("li"), remove = element("button", "×", "remove"), shown = pictures[0].picture();
        shown.classList.add("paper");
        remove.type = "button";
        remove.setAttribute("aria-label", `Remove ${name}`);
        remove.addEventListener("click", () => {
          gallery.delete(name);
          showGallery();
          recognise();
          document.getElementById("fill").focus({ preventScroll: true });
        });
        item.append(shown, element("span", pictures.length > 1 ? `${name} · ${pictures.length}` : name, "name"), remove);
        return item;
      }),
    );
  };
  const enrol = (name, picture, embedding) => gallery.set(name, [...(gallery.get(name) ?? []), { picture, embedding }]);

  const pad = makePad(recognise);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sheet = framed(pad.sheet());
    if (!sheet) return showAnswer({ why: "Draw a character first, then enrol it." });
    let number = 1;
    while (gallery.has(`drawing ${number}`)) number++;
    const given = name.value.trim() || `drawing ${number}`;
    enrol(given, canvasOf(averageAreas(sheet, 96)), await embedSheet(sheet));
    name.value = "";
    showGallery();
    pad.clear();
    showAnswer({ why: `Enrolled: ${given}. Now draw it again.` });
  });

  let examples = null; // the script and the characters that were enrolled last
  document.getElementById("fill").addEventListener("click", async () => {
    const [script] = sample(1, glyphs.scripts.length), { name, characters } = glyphs.scripts[script];
    examples = { script, characters: sample(EXAMPLES, characters) };
    const sheets = examples.characters.map((character) => framed(glyphs.drawing(script, character, 0)));
    const embeddings = await embed(sheets.map((sheet) => averageAreas(sheet, facts.side).ink));
    sheets.forEach((sheet, place) => {
      enrol(`${name} ${examples.characters[place] + 1}`, canvasOf(averageAreas(sheet, 96)), embeddings[place]);
    });
    showGallery();
    recognise();
  });
  document.getElementById("example").addEventListener("click", () => {
    const [any] = sample(1, glyphs.scripts.length), enrolled = examples && Math.random() < 0.75;
    const script = enrolled ? examples.script : any;
    const from = enrolled ? examples.characters : sample(1, glyphs.scripts[script].characters);
    pad.put(glyphs.drawing(script, from[sample(1, from.length)[0]], 1 + sample(1, glyphs.drawers - 1)[0]));
  });

  const embeddings = await unpacked(ofPage("embeddings")), length = embeddings.length / facts.gallery.length;
  facts.gallery.forEach(({ name, picture }, place) => {
    enrol(name, imageOf(picture), embeddings.slice(place * length, (place + 1) * length));
  });
  showGallery();
  recognise();
  playGame({
    glyphs,
    side: facts.side,
    embed,
    decisions: facts.decisions,
    choose: (query, supports) => supports.map((support) => compare(support, query)),
  });
  document.getElementById("network-name").textContent = facts.name;
  const weights = Object.values(arrays).reduce((total, { length }) => total + length, 0);
  document.getElementById("weights-count").textContent = weights.toLocaleString("en");
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  const old = typeof DecompressionStream === "undefined";
  showAnswer({ why: old ? "This browser is too old for this page: use one of 2023 or later." : `${error}` });
});
