// Whether a picture looks like the training tiles: birads_lib/tiles/familiarity.py again.

const LOW = 5;
const HIGH = 60; // cycles a tile between which the power law is fitted

/** Sentences on what is unlike the training tiles; none where all is alike, or none are known. */
export function remarks(tile, familiar) {
  if (!familiar) return [];
  return Object.entries(measureTile(tile))
    .map(([name, value]) => ({ value, ...familiar[name] }))
    .filter(({ value, low, high }) => !(value >= low && value <= high))
    .map(({ value, title, low, high }) => Number.isNaN(value)
      ? `The picture has no texture, so the ${title} cannot be told.`
      : `The ${title} is ${value.toFixed(2)}; almost all training tiles lie between `
        + `${low.toFixed(2)} and ${high.toFixed(2)}.`);
}

/** Mean and standard deviation of grey levels, and beta of the spectrum, 1 / f**beta. */
export function measureTile({ width, levels }) {
  const mean = levels.reduce((sum, v) => sum + v, 0) / levels.length;
  const variance = levels.reduce((sum, v) => sum + (v - mean) ** 2, 0) / levels.length;
  return { mean, deviation: Math.sqrt(variance), exponent: powerLawExponent(width, levels, mean) };
}

function powerLawExponent(size, levels, mean) {
  const spectrum = radialSpectrum(size, levels, mean);
  if (spectrum.some((power) => !(power > 0))) return NaN;
  const x = spectrum.map((_, i) => Math.log(LOW + i));
  const y = spectrum.map((power) => Math.log(power));
  const meanX = x.reduce((a, b) => a + b) / x.length;
  const meanY = y.reduce((a, b) => a + b) / y.length;
  const slope = x.reduce((sum, v, i) => sum + (v - meanX) * (y[i] - meanY), 0)
    / x.reduce((sum, v) => sum + (v - meanX) ** 2, 0);
  return -slope;
}

/** Mean power at LOW..HIGH cycles a tile, under a Hann window. */
function radialSpectrum(size, levels, mean) {
  const hann = Float64Array.from({ length: size },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (size - 1)));
  const cos = Float64Array.from({ length: size }, (_, i) => Math.cos((2 * Math.PI * i) / size));
  const sin = Float64Array.from({ length: size }, (_, i) => Math.sin((2 * Math.PI * i) / size));
  // Along rows for 0..HIGH cycles, then along columns for -HIGH..HIGH: the other half of the
  // plane mirrors this one. No more frequencies are needed, so plain sums are quick enough.
  const rows = HIGH + 1;
  const real = new Float64Array(rows * size);
  const imaginary = new Float64Array(rows * size);
  for (let y = 0; y < size; y++) {
    const line = Float64Array.from({ length: size },
      (_, x) => (levels[y * size + x] - mean) * hann[x] * hann[y]);
    for (let f = 0; f <= HIGH; f++) {
      let re = 0;
      let im = 0;
      for (let x = 0, turn = 0; x < size; x++, turn = (turn + f) % size) {
        re += line[x] * cos[turn];
        im -= line[x] * sin[turn];
      }
      real[f * size + y] = re;
      imaginary[f * size + y] = im;
    }
  }
  const power = new Float64Array(HIGH + 1);
  const count = new Float64Array(HIGH + 1);
  for (let f = 0; f <= HIGH; f++) {
    for (let g = -HIGH; g <= HIGH; g++) {
      const ring = Math.round(Math.hypot(f, g));
      if (ring < LOW || ring > HIGH) continue;
      let re = 0;
      let im = 0;
      const step = (g + size) % size;
      for (let y = 0, turn = 0; y < size; y++, turn = (turn + step) % size) {
        const [a, b] = [real[f * size + y], imaginary[f * size + y]];
        re += a * cos[turn] + b * sin[turn];
        im += b * cos[turn] - a * sin[turn];
      }
      const twice = f > 0 ? 2 : 1;
      power[ring] += twice * (re * re + im * im);
      count[ring] += twice;
    }
  }
  return Array.from(power.subarray(LOW), (sum, i) => sum / count[LOW + i]);
}
