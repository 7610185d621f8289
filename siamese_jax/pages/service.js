"use strict";
// The page of a service: it sends what is drawn or chosen, and shows the answer.

const facts = JSON.parse(document.getElementById("facts").textContent);
const form = document.getElementById("enrol"), nameField = document.getElementById("name");
const tokenForm = document.getElementById("token-form"), tokenField = document.getElementById("token");
const fileField = document.getElementById("file"), pad = makePad(() => (forget(), identify()));
const shown = element("img", "", "chosen");
let token = "", enrolled = 0, chosen = null, latest = null, afterToken = null;

/** Sends a request; returns the answer. Throws a sentence for people, or null if a newer request has taken its place. */
async function send(address, { body, signal } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(address, { method: body ? "POST" : "GET", headers, body, signal });
  } catch (error) {
    throw error.name === "AbortError" ? null : "The service does not answer. Is it still running?";
  }
  if (answer.ok) return answer;
  if (answer.status === 401) {
    tokenForm.hidden = false;
    tokenField.focus();
    throw token ? "This token is wrong." : "The service answers those who have its token.";
  }
  const { detail } = await answer.json().catch(() => ({}));
  throw typeof detail === "string" ? sentence(detail) : `The service answered with status ${answer.status}.`;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Does something that sends requests; what goes wrong is shown, and after a token was given it is done again. */
async function attempt(what) {
  afterToken = what;
  try {
    await what();
  } catch (why) {
    if (why !== null) showAnswer({ why: `${why}` });
  }
}

/** Returns the picture file to send, or a promise of it, or null if there is none. */
function picture() {
  if (chosen) return chosen;
  const sheet = framed(pad.sheet());
  if (!sheet) return null;
  const canvas = element("canvas"), context = canvas.getContext("2d");
  showSheet(canvas, sheet);
  context.globalCompositeOperation = "destination-over"; // white paper under the ink
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function formOf(file, fields) {
  const data = new FormData();
  data.append("file", file, file.name || "drawing.png");
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  return data;
}

const identify = () =>
  attempt(async () => {
    latest?.abort();
    latest = new AbortController();
    const { signal } = latest, file = picture();
    if (!file) return showAnswer({ why: "Nothing is drawn or chosen yet." });
    if (!enrolled) await refresh();
    if (!enrolled) return signal.aborted || showAnswer({ why: "Nothing is enrolled yet." });
    const answer = await (await send("identify", { body: formOf(await file, { top: 5 }), signal })).json();
    const [{ unknown, why, matches, remarks }] = answer.pictures;
    const ranked = await Promise.all(
      matches.map(async ({ class_name, probability, score, thumbnail }) => {
        const image = element("img"), content = await (await send(thumbnail, { signal })).blob();
        image.alt = "";
        image.src = URL.createObjectURL(content);
        image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
        return { name: class_name, probability, score, picture: image };
      }),
    );
    const note = remarks.map((remark) => `${sentence(remark)}.`).join(" ");
    showAnswer({ unknown, why, matches: ranked, note });
  });

const refresh = async () => {
  const { classes, pictures } = await (await send("classes")).json(), names = Object.keys(classes);
  enrolled = names.length;
  document.getElementById("count").textContent = `Gallery: ${pictures} pictures of ${names.length} classes.`;
  const option = (name) => Object.assign(element("option"), { value: name });
  document.getElementById("names").replaceChildren(...names.map(option));
};

form.hidden = !facts.mayEnrol;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const file = picture(), name = nameField.value.trim();
    if (!file) return showAnswer({ why: "Draw or choose a picture first, then enrol it." });
    latest?.abort(); // what was asked before must not be shown after this
    showAnswer({ why: "Enrolling …" });
    await send("enrol", { body: formOf(await file, { class_name: name }) });
    nameField.value = "";
    await refresh();
    forget();
    pad.clear();
    showAnswer({ why: `Enrolled: ${name}.` });
  });
});

tokenForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  token = tokenField.value;
  tokenField.value = "";
  tokenForm.hidden = true;
  const what = afterToken;
  await attempt(refresh);
  if (what !== refresh) await attempt(what);
});

/** Shows a picture file on the pad, and asks about it. */
function choose(file) {
  if (!file) return;
  forget();
  chosen = file;
  shown.alt = `The chosen picture: ${file.name}`;
  shown.src = URL.createObjectURL(file);
  document.querySelector(".pad").append(shown);
  identify();
}

function forget() {
  if (!chosen) return;
  URL.revokeObjectURL(shown.src);
  shown.remove();
  chosen = null;
  fileField.value = "";
}

const place = document.getElementById("picture");
place.addEventListener("dragover", (event) => {
  event.preventDefault();
  place.classList.add("dropping");
});
for (const name of ["dragleave", "drop"]) place.addEventListener(name, () => place.classList.remove("dropping"));
place.addEventListener("drop", (event) => {
  event.preventDefault();
  choose(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
fileField.addEventListener("change", () => choose(fileField.files[0]));

showAnswer({ why: "Nothing is drawn or chosen yet." });
attempt(refresh).then(() => (document.body.dataset.ready = "true"));
