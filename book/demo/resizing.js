// Grey pictures at another size, as birads_lib/tiles/resizing.py does it with OpenCV.
// A picture is {width, height, levels}: levels in rows, 0..255, whole or not.

/** Resize by averaging over areas where the picture shrinks, else by interpolating. */
export function resize(picture, width, height) {
  if (picture.width === width && picture.height === height) return picture;
  const shrinks = width <= picture.width && height <= picture.height;
  const shares = shrinks ? areaShares : linearShares;
  const across = shares(picture.width, width);
  const down = shares(picture.height, height);
  const narrow = new Float32Array(picture.height * width);
  for (let y = 0; y < picture.height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (const [from, share] of across[x]) sum += share * picture.levels[y * picture.width + from];
      narrow[y * width + x] = sum;
    }
  }
  const levels = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    for (const [from, share] of down[y]) {
      for (let x = 0; x < width; x++) levels[y * width + x] += share * narrow[from * width + x];
    }
  }
  return { width, height, levels };
}

/** The picture with whole grey levels 0..255. */
export function rounded(picture) {
  return { ...picture, levels: Float32Array.from(picture.levels, (v) => Math.round(v)) };
}

/** For each target cell the source cells it covers, with their share of it. */
function areaShares(source, target) {
  const scale = source / target;
  return Array.from({ length: target }, (_, cell) => {
    const start = cell * scale;
    const end = Math.min(start + scale, source);
    const shares = [];
    for (let from = Math.floor(start); from < end - 1e-3; from++) {
      const covered = Math.min(from + 1, end) - Math.max(from, start);
      if (covered > 1e-3) shares.push([from, covered / (end - start)]);
    }
    return shares;
  });
}

/** For each target cell its two neighbours in the source, weighted by nearness. */
function linearShares(source, target) {
  const scale = source / target;
  return Array.from({ length: target }, (_, cell) => {
    const place = Math.min(Math.max((cell + 0.5) * scale - 0.5, 0), source - 1);
    const left = Math.min(Math.floor(place), source - 1);
    const right = Math.min(left + 1, source - 1);
    return [[left, 1 - (place - left)], [right, place - left]];
  });
}
