"use strict";
// A pad to draw on with mouse, finger, pen or keyboard.

const PAD = 420; // rows and columns of its sheet
const THICKNESS = 12; // of its pen; the lines of Omniglot are as thick in proportion
const STEP = 14; // how far an arrow key moves the pen

/** Returns the pad of this page. `changed` is called after each stroke, and after each undo. */
function makePad(changed) {
  const canvas = document.getElementById("pad"), hint = document.querySelector(".pad-hint");
  const context = canvas.getContext("2d"), image = context.createImageData(PAD, PAD);
  const pen = document.querySelector(".pen"), penState = document.getElementById("pen-state");
  let sheet = emptySheet(PAD), done = [], stroke = null, at = { x: PAD / 2, y: PAD / 2 };
  canvas.width = canvas.height = PAD;

  const show = ({ top, bottom, left, right }) => {
    for (let row = top; row < bottom; row++) {
      for (let place = row * PAD + left; place < row * PAD + right; place++) image.data[4 * place + 3] = sheet.ink[place];
    }
    context.putImageData(image, 0, 0, left, top, right - left, bottom - top);
    hint.hidden = done.length > 0 || stroke !== null;
  };
  const line = (from, to) => show(drawLine(sheet, from, to, THICKNESS));
  const again = () => {
    sheet = emptySheet(PAD);
    for (const { points, ink } of done) {
      if (ink) sheet.ink.set(ink);
      else points.forEach((point, place) => drawLine(sheet, points[Math.max(0, place - 1)], point, THICKNESS));
    }
    show({ top: 0, bottom: PAD, left: 0, right: PAD });
  };
  const begin = (point) => {
    stroke = [point];
    line(point, point);
  };
  const goOn = (point) => {
    line(stroke.at(-1), point);
    stroke.push(point);
  };
  const end = () => {
    if (!stroke) return;
    done.push({ points: stroke });
    stroke = null;
    changed();
  };
  const undo = () => {
    stroke = null;
    done.pop();
    again();
    changed();
  };
  const clear = () => {
    stroke = null;
    done = [];
    again();
    changed();
  };

  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect(), scale = PAD / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pen.hidden = true;
    begin(pointOf(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || !event.isPrimary || !canvas.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) goOn(pointOf(one));
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, end);

  const placePen = () => {
    pen.style.left = `${(100 * at.x) / PAD}%`;
    pen.style.top = `${(100 * at.y) / PAD}%`;
    pen.classList.toggle("down", stroke !== null);
  };
  canvas.addEventListener("focus", () => {
    pen.hidden = !canvas.matches(":focus-visible");
    placePen();
  });
  canvas.addEventListener("blur", () => {
    pen.hidden = true;
    end();
  });
  const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey ? event.key !== "z" : event.altKey) return;
    if (MOVES[event.key]) {
      const step = event.shiftKey ? 3 * STEP : STEP, [across, down] = MOVES[event.key];
      const within = (value) => Math.min(PAD - STEP, Math.max(STEP, value));
      at = { x: within(at.x + step * across), y: within(at.y + step * down) };
      if (stroke) goOn(at);
    } else if (event.key === " ") {
      if (stroke) end();
      else begin(at);
      penState.textContent = stroke ? "Pen down" : "Pen up";
    } else if (event.key === "Backspace" || event.key === "z") {
      undo();
    } else if (event.key === "Delete") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
    pen.hidden = false;
    placePen();
  });
  document.getElementById("undo").addEventListener("click", undo);
  document.getElementById("clear").addEventListener("click", clear);

  return {
    clear,
    sheet: () => sheet,
    /** Replaces the drawing by a square sheet whose side divides that of the pad. */
    put(small) {
      const { ink } = enlarged(small, PAD / small.width);
      stroke = null;
      done = [{ ink }];
      again();
      changed();
    },
  };
}
