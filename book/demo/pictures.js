// Files that a reader gives, as grey tiles; what cannot be one is refused with a sentence.

import { resize, rounded } from "./resizing.js";

const MOST_PIXELS = 4e6; // a tile shows three centimetres; more is a whole scan
const STRETCH = 1.1; // sides that differ by more were not cut as tiles are
const OPAQUE = 255;
const KNOWN = [[0x89, 0x50, 0x4e, 0x47], [0xff, 0xd8], [0x50, 0x35], [0x50, 0x32]];
// How files of PNG, JPEG, and PGM (P5, P2) begin; others browsers may read, but not by our limits.

/** A reason, in a sentence for the reader, why a file is not read. */
export class Refusal extends Error {}

/**
 * Read a picture file as a square grey tile.
 * @param {Blob} file PNG, JPEG or PGM
 * @param {string} name for the sentences
 * @param {number} side pixels of the tile
 * @returns {Promise<{tile: object, notes: string[]}>} whole grey levels, 0..255
 */
export async function readTile(file, name, side) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  refuseBeforeDecoding(bytes, name);
  const picture = isPgm(bytes) ? readPgm(bytes, name) : await decode(file, name);
  refuseLarge(picture.width, picture.height, name);
  const tile = rounded(resize(picture, side, side));
  if (isBlank(tile)) throw blank(name);
  const notes = [];
  if (picture.width !== side || picture.height !== side) {
    notes.push(`The picture has ${picture.width} x ${picture.height} pixels and was resized to `
      + `${side} x ${side}. The networks expect a piece of 3 x 3 cm.`);
  }
  if (Math.max(picture.width, picture.height) > STRETCH * Math.min(picture.width, picture.height)) {
    notes.push("It is not square, so that it was stretched to become a tile.");
  }
  return { tile, notes };
}

function isBlank({ levels }) {
  return levels.every((level) => level === levels[0]);
}

function blank(name) {
  return new Refusal(`All pixels of ${name} have one grey level. There is nothing to read, so `
    + "nothing is scored.");
}

function refuseBeforeDecoding(bytes, name) {
  const text = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
  if (text(128, 132) === "DICM") {
    throw new Refusal(`${name} is a DICOM file, which this page does not read. Save the piece you `
      + "mean as PNG, or use the command “birads report”.");
  }
  if (text(1, 4) === "PNG") {
    const view = new DataView(bytes.buffer);
    if (bytes.length > 33) refuseLarge(view.getUint32(16), view.getUint32(20), name);
    if (bytes[24] === 16) throw new Refusal(`${name} has 16 bits a pixel; give 8 bits, 0 to 255.`);
  }
  const size = jpegSize(bytes);
  if (size) refuseLarge(...size, name);
  if (!KNOWN.some((start) => start.every((byte, at) => bytes[at] === byte))) throw unreadable(name);
}

function unreadable(name) {
  return new Refusal(`${name} is no picture that can be read here. Give a PNG, JPEG or PGM file.`);
}

function refuseLarge(width, height, name) {
  if (width * height > MOST_PIXELS) {
    throw new Refusal(`${name} has ${(width * height / 1e6).toFixed(0)} megapixels: a whole scan, it `
      + "seems. The networks read pieces of 3 x 3 cm; cut one out first.");
  }
}

/** Width and height by the frame header of a JPEG file, or null. */
function jpegSize(bytes) {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return null;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1];
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return [bytes[at + 7] * 256 + bytes[at + 8], bytes[at + 5] * 256 + bytes[at + 6]];
    at += 2 + bytes[at + 2] * 256 + bytes[at + 3];
  }
  return null;
}

async function decode(file, name) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    throw unreadable(name);
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const levels = new Float32Array(bitmap.width * bitmap.height);
  for (let i = 0; i < levels.length; i++) {
    const [red, green, blue, alpha] = data.subarray(4 * i, 4 * i + 4);
    if (alpha !== OPAQUE) {
      throw new Refusal(`${name} is transparent in places, which leaves open how dark they are. `
        + "Save it without transparency; nothing is scored.");
    }
    if (red !== green || red !== blue) {
      throw new Refusal(`${name} is a picture in colour. Mammograms are grey; nothing is scored.`);
    }
    levels[i] = red;
  }
  return { width: bitmap.width, height: bitmap.height, levels };
}

function isPgm(bytes) {
  return bytes[0] === 0x50 && (bytes[1] === 0x35 || bytes[1] === 0x32); // P5, P2
}

/** A PGM file, binary (P5) or plain (P2), with comment lines. */
function readPgm(bytes, name) {
  const broken = () => new Refusal(`${name} is no readable PGM file of 8 bits.`);
  let at = 2;
  const next = () => {
    const space = (b) => b === 32 || (b >= 9 && b <= 13);
    while (space(bytes[at]) || bytes[at] === 0x23) {
      if (bytes[at] === 0x23) while (at < bytes.length && bytes[at] !== 10) at++;
      else at++;
    }
    let digits = "";
    while (at < bytes.length && !space(bytes[at])) digits += String.fromCharCode(bytes[at++]);
    return /^\d+$/.test(digits) ? Number(digits) : NaN;
  };
  const [width, height, most] = [next(), next(), next()];
  if (!(width > 0 && height > 0 && most === 255)) throw broken();
  refuseLarge(width, height, name);
  const count = width * height;
  const levels = bytes[1] === 0x35
    ? Float32Array.from(bytes.subarray(at + 1, at + 1 + count))
    : Float32Array.from({ length: count }, next);
  if (levels.length < count || levels.some((v) => !(v <= 255))) throw broken();
  return { width, height, levels };
}
