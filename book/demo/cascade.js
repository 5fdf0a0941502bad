// The three networks in a row, as birads_lib/cascade.py runs them: denoise, gate, score.

import * as ort from "./ort/ort.wasm.min.mjs";
import { resize } from "./resizing.js";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
// More than one thread needs headers that a plain file server does not send; “make serve” does.
export const THREADS = globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 4) : 1;
ort.env.wasm.numThreads = THREADS;

export class Cascade {
  /**
   * Fetch the networks that a manifest lists and make them ready.
   * @param {object} manifest what the build wrote to demo/manifest.json
   * @param {URL} base the folder of the manifest
   * @param {(part: string) => void} tell called before each network
   */
  static async load(manifest, base, tell) {
    const parts = {};
    for (const [name, part] of Object.entries(manifest.parts)) {
      tell(name);
      const answer = await fetch(new URL(part.file, base));
      if (!answer.ok) throw new Error(`${part.file}: ${answer.status}`);
      parts[name] = await Network.open(await answer.arrayBuffer(), part.input);
    }
    const cascade = new Cascade(parts, manifest.threshold);
    tell("first run"); // it allocates and compiles, which no tile should wait for
    await cascade.#warmUp(manifest.tile);
    return cascade;
  }

  async #warmUp(side) {
    const blank = { width: side, height: side, levels: new Float32Array(side * side) };
    for (const network of Object.values(this.parts)) await network.run(blank);
  }

  constructor(parts, threshold) {
    this.parts = parts;
    this.threshold = threshold;
  }

  /**
   * Read one tile.
   * @param {{width: number, height: number, levels: ArrayLike<number>}} tile grey, 0..255
   * @returns denoised picture, gate probability, whether it passed, class probabilities and
   *   attention map (null where the gate let nothing through), milliseconds
   */
  async read(tile) {
    const started = performance.now();
    const denoised = this.parts.autoencoder ? await this.#denoise(tile) : tile;
    const [gate] = (await this.parts.gate.run(denoised))[0].data;
    const passed = gate >= this.threshold;
    const [scores, map] = passed ? await this.parts.scorer.run(denoised) : [];
    return {
      denoised,
      gate,
      passed,
      scores: scores ? Array.from(scores.data) : null,
      attention: map ? { width: map.dims[2], height: map.dims[1], levels: map.data } : null,
      milliseconds: performance.now() - started,
    };
  }

  async #denoise(tile) {
    const [height, width] = this.parts.autoencoder.input;
    const [rebuilt] = await this.parts.autoencoder.run(tile);
    return { width, height, levels: rebuilt.data.map((v) => Math.min(Math.max(v, 0), 255)) };
  }
}

class Network {
  static async open(bytes, input) {
    const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
    return new Network(session, input);
  }

  constructor(session, input) {
    this.session = session;
    this.input = input; // height, width, channels
  }

  /** Run one picture, resized to the input; the outputs in the model's order. */
  async run(picture) {
    const [height, width, channels] = this.input;
    const { levels } = resize(picture, width, height);
    const x = new Float32Array(height * width * channels);
    for (let i = 0; i < x.length; i++) x[i] = levels[Math.floor(i / channels)];
    const tensor = new ort.Tensor("float32", x, [1, height, width, channels]);
    const found = await this.session.run({ [this.session.inputNames[0]]: tensor });
    return this.session.outputNames.map((name) => found[name]);
  }
}
