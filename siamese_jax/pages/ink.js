"use strict";
// Drawings as ink. A sheet is {height, width, ink}: ink is a Uint8Array, row by row, 0 for paper and 255 for full ink.
// A sheet becomes what the network sees as siamese_jax.read_image does with fit="ink". Black lines on white paper need
// no correction of levels, so only the last steps of it are here. The constants are those of siamese_jax/images/ink.py.

const LONGER_SIDE = 0.64; // of the box of the ink, as a share of the sheet
const SPECK = 0.005; // connected parts with a smaller share of all ink do not count for the box

function emptySheet(height, width = height) {
  return { height, width, ink: new Uint8Array(height * width) };
}

/** Draws a line with round ends from one point {x, y} to another; returns the box that it changed. */
function drawLine(sheet, from, to, thickness) {
  const { height, width, ink } = sheet, reach = thickness / 2 + 1;
  const box = {
    top: Math.max(0, Math.floor(Math.min(from.y, to.y) - reach)),
    bottom: Math.min(height, Math.ceil(Math.max(from.y, to.y) + reach)),
    left: Math.max(0, Math.floor(Math.min(from.x, to.x) - reach)),
    right: Math.min(width, Math.ceil(Math.max(from.x, to.x) + reach)),
  };
  const across = to.x - from.x, down = to.y - from.y, square = across * across + down * down;
  for (let row = box.top; row < box.bottom; row++) {
    for (let column = box.left; column < box.right; column++) {
      const x = column + 0.5 - from.x, y = row + 0.5 - from.y; // of the middle of the pixel
      const along = square ? Math.min(1, Math.max(0, (x * across + y * down) / square)) : 0;
      const covered = thickness / 2 + 0.5 - Math.hypot(x - along * across, y - along * down);
      const value = Math.round(255 * Math.min(1, Math.max(0, covered)));
      const place = row * width + column;
      if (value > ink[place]) ink[place] = value;
    }
  }
  return box;
}

/** Returns the smallest box that holds all ink except specks, or null for an empty sheet. */
function boxOf({ height, width, ink }) {
  let most = 0;
  for (const value of ink) if (value > most) most = value;
  if (most === 0) return null;
  const part = new Int32Array(ink.length), sizes = [0], stack = [];
  for (let start = 0; start < ink.length; start++) {
    if (part[start] || ink[start] < most / 2) continue;
    const number = sizes.length;
    sizes.push(0);
    part[start] = number;
    stack.push(start);
    while (stack.length) {
      const place = stack.pop(), row = Math.floor(place / width), column = place % width;
      sizes[number]++;
      for (let r = Math.max(0, row - 1); r <= Math.min(height - 1, row + 1); r++) {
        for (let c = Math.max(0, column - 1); c <= Math.min(width - 1, column + 1); c++) {
          const beside = r * width + c;
          if (!part[beside] && ink[beside] >= most / 2) {
            part[beside] = number;
            stack.push(beside);
          }
        }
      }
    }
  }
  const least = SPECK * sizes.reduce((sum, size) => sum + size);
  const box = { top: height, bottom: 0, left: width, right: 0 };
  for (let place = 0; place < part.length; place++) {
    if (!part[place] || sizes[part[place]] < least) continue;
    const row = Math.floor(place / width), column = place % width;
    box.top = Math.min(box.top, row);
    box.bottom = Math.max(box.bottom, row + 1);
    box.left = Math.min(box.left, column);
    box.right = Math.max(box.right, column + 1);
  }
  return box;
}

/** Returns a square sheet with the box of the ink in its middle, or null for an empty sheet. */
function framed(sheet) {
  const box = boxOf(sheet);
  if (!box) return null;
  const height = box.bottom - box.top, width = box.right - box.left;
  const square = emptySheet(roundHalfToEven(Math.max(height, width) / LONGER_SIDE)), side = square.width;
  const top = (side - height) >> 1, left = (side - width) >> 1;
  for (let row = 0; row < height; row++) {
    const from = (box.top + row) * sheet.width + box.left;
    square.ink.set(sheet.ink.subarray(from, from + width), (top + row) * side + left);
  }
  return square;
}

/** Returns a square sheet resized; each new pixel is the mean of the area that it covers. */
function averageAreas(sheet, side) {
  const shares = areaShares(sheet.width, side), rows = new Float64Array(side * sheet.width), out = emptySheet(side);
  for (let row = 0; row < side; row++) {
    for (const [old, share] of shares[row]) {
      for (let c = 0; c < sheet.width; c++) rows[row * sheet.width + c] += share * sheet.ink[old * sheet.width + c];
    }
    for (let column = 0; column < side; column++) {
      let sum = 0;
      for (const [old, share] of shares[column]) sum += share * rows[row * sheet.width + old];
      out.ink[row * side + column] = roundHalfToEven(sum);
    }
  }
  return out;
}

/** Returns for each new pixel the old ones that it covers, with the share that each has in it. */
function areaShares(pixels, side) {
  return Array.from({ length: side }, (_, place) => {
    const first = (place * pixels) / side, end = ((place + 1) * pixels) / side, found = [];
    for (let old = Math.floor(first); old < Math.min(pixels, end); old++) {
      const overlap = Math.min(end, old + 1) - Math.max(first, old);
      if (overlap > 0) found.push([old, (overlap * side) / pixels]);
    }
    return found;
  });
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Returns a sheet enlarged by a whole factor, with smooth edges: pixels that are on or off would show their corners. */
function enlarged(sheet, factor) {
  const { height, width, ink } = sheet, soft = new Float32Array(ink.length), out = emptySheet(height * factor, width * factor);
  const at = (row, column) => Math.min(height - 1, Math.max(0, row)) * width + Math.min(width - 1, Math.max(0, column));
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (let r = -1; r <= 1; r++) {
        for (let c = -1; c <= 1; c++) sum += (2 - Math.abs(r)) * (2 - Math.abs(c)) * ink[at(row + r, column + c)];
      }
      soft[row * width + column] = sum / 16;
    }
  }
  for (let row = 0; row < out.height; row++) {
    const y = (row + 0.5) / factor - 0.5, top = Math.floor(y), down = y - top;
    for (let column = 0; column < out.width; column++) {
      const x = (column + 0.5) / factor - 0.5, left = Math.floor(x), across = x - left;
      const above = soft[at(top, left)] * (1 - across) + soft[at(top, left + 1)] * across;
      const below = soft[at(top + 1, left)] * (1 - across) + soft[at(top + 1, left + 1)] * across;
      const value = above * (1 - down) + below * down;
      out.ink[row * out.width + column] = Math.min(255, Math.max(0, (value - 127.5) * factor + 127.5));
    }
  }
  return out;
}

/** Shows a sheet on a canvas of any size: black ink, and no paper, so that the style chooses its colour. */
function showSheet(canvas, sheet) {
  canvas.width = sheet.width;
  canvas.height = sheet.height;
  const context = canvas.getContext("2d"), image = context.createImageData(sheet.width, sheet.height);
  for (let place = 0; place < sheet.ink.length; place++) image.data[4 * place + 3] = sheet.ink[place];
  context.putImageData(image, 0, 0);
}
