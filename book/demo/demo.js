// The page "Try it": chooses tiles, runs the cascade, and says what came of it.

import { Refusal, readTile } from "./pictures.js";
import { remarks } from "./familiarity.js";
import { resize } from "./resizing.js";

const BASE = new URL("./", import.meta.url);
const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137],
  [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
];
const VEIL = 0.45; // how much of the map's colour lies over the tile

const page = document.getElementById("demo");
const part = (name) => page.querySelector(`[data-part="${name}"]`);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

let manifest = null;
let cascade = null;
let asked = 0; // readings begun: only the newest shows itself

/** Show a sentence; politely, or at once where something is wrong. */
function say(text, wrong = false) {
  part("status").textContent = wrong ? "" : text;
  part("alert").textContent = wrong ? text : "";
}

async function offer() {
  manifest = await (await fetch(new URL("manifest.json", BASE))).json();
  if (manifest.left_out) {
    part("start").hidden = true;
    say(manifest.left_out);
    return;
  }
  const bytes = Object.values(manifest.parts).reduce((sum, { bytes: b }) => sum + b, manifest.engine_bytes);
  part("start").textContent = `Load the networks (${(bytes / 1e6).toFixed(0)} MB, from this site)`;
  part("start").disabled = false;
}

async function start() {
  const button = part("start");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true"); // “disabled” would take the focus away
  try {
    say("Loading the engine …");
    const { Cascade } = await import("./cascade.js");
    cascade = await Cascade.load(manifest, BASE, (name) => say(`Getting ready: ${name} …`));
  } catch (error) {
    button.setAttribute("aria-disabled", "false");
    say(`The networks could not be loaded (${error.message}).`, true);
    return;
  }
  listClasses();
  showSamples();
  showChoice();
  say("The networks are ready. Choose a tile, or give a picture of your own.");
}

/** Show the choice in place of the button; who stood on that stands on the first tile. */
function showChoice() {
  const stood = document.activeElement === part("start");
  part("choice").hidden = false;
  if (stood) page.querySelector("[data-sample], input").focus();
  part("start").hidden = true;
}

/** One row a class, its probability to be filled in. */
function listClasses() {
  for (const { code, title } of manifest.classes.slice(1)) {
    const row = part("scores").tBodies[0].insertRow();
    row.dataset.code = code;
    row.innerHTML = "<th scope=row></th><td></td><td data-score></td><td class=bar><span data-bar></span></td>";
    [row.cells[0].textContent, row.cells[1].textContent] = [code, title];
  }
}

function showSamples() {
  for (const sample of manifest.samples) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.sample = sample.file;
    button.setAttribute("aria-pressed", "false");
    const picture = document.createElement("img");
    Object.assign(picture, { src: new URL(sample.file, BASE).href, alt: "", width: 72, height: 72, loading: "lazy" });
    const title = document.createElement("span");
    title.textContent = sample.title;
    button.append(picture, title);
    button.addEventListener("click", () => readSample(sample, button));
    part(sample.real ? "real" : "simulated").append(button);
  }
  for (const kind of ["real", "simulated"]) {
    part(`${kind}-group`).hidden = !part(kind).children.length;
  }
}

/** Mark the sample that is read; none where the picture is the reader's own. */
function press(chosen) {
  page.querySelectorAll("[data-sample]").forEach((b) => b.setAttribute("aria-pressed", b === chosen));
}

function readSample(sample, button) {
  press(button);
  const fetched = fetch(new URL(sample.file, BASE)).then((answer) => answer.blob());
  return read(fetched, sample.title, sample);
}

function readOwn(file) {
  press(null);
  return read(file, file.name, null);
}

/** Read a picture and show what came of it, unless another one is asked for meanwhile. */
async function read(file, name, sample) {
  const turn = ++asked;
  const overtaken = () => turn !== asked;
  part("result").hidden = true;
  say(`Reading ${name} …`);
  try {
    const { tile, notes } = await readTile(await file, name, manifest.tile);
    if (overtaken()) return;
    const reading = await cascade.read(tile);
    if (overtaken()) return;
    const warned = warnings(tile, notes);
    show(tile, reading, sample, warned, name);
    say([`${name}: ${summary(reading)}`, ...inWords(warned)].join(" "));
    bringIntoView();
  } catch (error) {
    if (overtaken()) return;
    if (!(error instanceof Refusal)) console.error(error);
    refuse(error instanceof Refusal ? error.message : `${name} could not be read (${error.message}).`);
  }
}

function refuse(sentence) {
  say(sentence, true);
  bringIntoView();
}

/** Scroll to what came of a choice, as far as it is out of sight; the focus stays. */
function bringIntoView() {
  part("outcome").scrollIntoView({ block: "nearest" });
}

/** What to mind before the numbers, sentence by sentence, and what stands over it. */
function warnings(tile, notes) {
  const unlike = [...notes, ...remarks(tile, manifest.familiar)];
  return {
    title: unlike.length ? "This picture is unlike the training tiles:" : "Not checked:",
    sentences: manifest.familiar ? unlike : [...unlike, manifest.unchecked],
  };
}

/** Warnings as they are read out; nothing where there are none. */
function inWords({ title, sentences }) {
  return sentences.length ? [title, ...sentences] : [];
}

function summary({ gate, passed, scores }) {
  const given = `the gate gives ${percent(gate)} with a threshold of ${percent(manifest.threshold)}`;
  if (!passed) return `${given} and lets nothing through (C1, ${manifest.classes[0].title}).`;
  const best = scores.indexOf(Math.max(...scores)) + 1;
  const { code, title } = manifest.classes[best];
  return `${given}; of the four classes ${code}, ${title}, is the likeliest.`;
}

/** How the gate's probability stands to the threshold, the mark on its bar. */
function gateWord({ passed }) {
  const threshold = `the threshold of ${percent(manifest.threshold)}, the mark on the bar`;
  return passed ? `It reaches ${threshold}.` : `It stays below ${threshold}; the scorer is not asked.`;
}

function show(tile, reading, sample, warned, name) {
  part("origin").textContent = manifest.origin;
  draw(part("tile"), tile);
  draw(part("denoised"), reading.denoised);
  part("attention-figure").hidden = !reading.attention;
  if (reading.attention) drawAttention(reading);
  part("gate").textContent = percent(reading.gate);
  part("gate").dataset.value = reading.gate;
  part("gate-bar").value = reading.gate;
  part("gate-mark").style.left = `${100 * manifest.threshold}%`;
  part("gate-word").textContent = gateWord(reading);
  manifest.classes.slice(1).forEach(({ code }, i) => {
    const row = part("scores").querySelector(`[data-code="${code}"]`);
    const score = reading.scores?.[i];
    row.querySelector("[data-score]").textContent = score === undefined ? "not scored" : percent(score);
    row.querySelector("[data-score]").dataset.value = score ?? "";
    row.querySelector("[data-bar]").style.width = `${100 * (score ?? 0)}%`;
  });
  part("truth").textContent = sample?.truth ?? "What is true of this picture is not known here.";
  part("warnings-title").textContent = warned.title;
  part("warnings").replaceChildren(...warned.sentences.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  part("warnings-block").hidden = !warned.sentences.length;
  part("time").textContent = `${reading.milliseconds.toFixed(0)} ms`;
  part("time").dataset.value = reading.milliseconds;
  part("result").dataset.name = name;
  part("result").hidden = false;
}

/** Draw grey levels on a canvas, each coloured by `paint(level, index)` if given. */
function draw(canvas, { width, height, levels }, paint = (v) => [v, v, v]) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let i = 0; i < levels.length; i++) image.data.set([...paint(levels[i], i), 255], 4 * i);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function drawAttention({ denoised, attention }) {
  const map = resize(attention, denoised.width, denoised.height).levels;
  const cells = Array.from(attention.levels);
  const [low, high] = [Math.min(...cells), Math.max(...cells)];
  draw(part("attention"), denoised, (level, i) => {
    const colour = viridis(high > low ? (map[i] - low) / (high - low) : 0);
    return colour.map((c) => (1 - VEIL) * level + VEIL * c);
  });
  part("attention").dataset.value = JSON.stringify(cells);
  part("attention-range").textContent = `from ${low.toFixed(3)} (dark) to ${high.toFixed(3)} (light)`;
}

function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const left = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return VIRIDIS[left].map((c, k) => c + (at - left) * (VIRIDIS[left + 1][k] - c));
}

function listen() {
  part("start").addEventListener("click", start);
  part("file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // or the same file, mended, could not be chosen again
    if (file) readOwn(file);
  });
  const drop = part("drop");
  drop.addEventListener("dragover", () => drop.classList.add("over"));
  for (const left of ["dragleave", "drop"]) {
    drop.addEventListener(left, () => drop.classList.remove("over"));
  }
  // Wherever a file is dropped: the browser would leave the page to show it.
  const carriesFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files");
  window.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const { files } = event.dataTransfer;
    if (!cascade) refuse("Load the networks first, then drop the picture again.");
    else if (files.length > 1) refuse(`One picture at a time, please; ${files.length} were dropped.`);
    else if (files.length) readOwn(files[0]);
  });
}

listen();
offer().catch((error) => say(`The page's networks are not there (${error.message}).`, true));
