// What is heard, as a picture: forty mel bands of the samples that are played.
import {bytes, clamp} from './data.js';

export const RATE = 16000;
const FFT = 512;
const BANDS = 40;

// Power of n/2 bins of a windowed frame; the frame is overwritten.
export function spectrum(re) {
  const n = re.length;
  const im = new Float32Array(n);
  for (let i = 1, j = 0; i < n; i++) {
    let b = n >> 1;
    for (; j & b; b >>= 1) j ^= b;
    j ^= b;
    if (i < j) [re[i], re[j]] = [re[j], re[i]];
  }
  for (let len = 2; len <= n; len <<= 1) {
    for (let i = 0; i < n; i += len) {
      for (let j = 0; j < len / 2; j++) {
        const a = (-2 * Math.PI * j) / len;
        const u = i + j;
        const v = u + len / 2;
        const x = re[v] * Math.cos(a) - im[v] * Math.sin(a);
        const y = re[v] * Math.sin(a) + im[v] * Math.cos(a);
        re[v] = re[u] - x;
        im[v] = im[u] - y;
        re[u] += x;
        im[u] += y;
      }
    }
  }
  return re.subarray(0, n / 2).map((v, k) => v * v + im[k] * im[k]);
}

const mel = f => 2595 * Math.log10(1 + f / 700);
const hertz = m => 700 * (10 ** (m / 2595) - 1);
const LOWEST = mel(50);
const HIGHEST = mel(7600);
const bin = b => (hertz(LOWEST + (b / (BANDS + 1)) * (HIGHEST - LOWEST)) * FFT) / RATE;
const EDGES = Array.from({length: BANDS + 2}, (_, b) => bin(b));

// Energy of a triangular band.
function band(power, b) {
  const [low, mid, high] = EDGES.slice(b, b + 3);
  let sum = 1e-9;
  for (let k = Math.ceil(low); k < high; k++) {
    sum += power[k] * (k < mid ? (k - low) / (mid - low) : (high - k) / (high - mid));
  }
  return sum;
}

// (columns × BANDS) in dB; the loudest is 0.
export function logmel(wave, columns) {
  const out = new Float32Array(columns * BANDS);
  for (let t = 0; t < columns; t++) {
    const from = Math.round(((t + 0.5) / columns) * wave.length) - 200;
    const frame = new Float32Array(FFT);
    for (let j = 0; j < 400; j++) {
      frame[j] =
        (wave[from + j] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * j) / 400));
    }
    const power = spectrum(frame);
    for (let b = 0; b < BANDS; b++)
      out[t * BANDS + b] = 10 * Math.log10(band(power, b));
  }
  const top = out.reduce((a, v) => Math.max(a, v), -Infinity);
  return out.map(v => v - top);
}

// The loudest sample of each of some 160 stretches.
export function peaks(wave) {
  const each = Math.max(1, Math.floor(wave.length / 160));
  return Array.from({length: Math.floor(wave.length / each)}, (_, j) =>
    wave
      .subarray(j * each, (j + 1) * each)
      .reduce((most, v) => Math.max(most, Math.abs(v)), 0),
  );
}

const FRAME = 320; // 20 ms
const QUIET = 1e-4; // 40 dB below the loudest, as power
const SHORTEST = 5; // frames: shorter gaps belong to speech

// Stretches of silence, [from, to] in seconds.
export function silences(wave) {
  const n = Math.floor(wave.length / FRAME);
  const power = Array.from({length: n}, (_, t) =>
    wave.subarray(t * FRAME, (t + 1) * FRAME).reduce((sum, v) => sum + v * v, 0),
  );
  const limit = QUIET * Math.max(...power, 1e-9);
  const out = [];
  let from = 0;
  for (let t = 0; t <= n; t++) {
    if (t < n && power[t] < limit) continue;
    if (t - from >= SHORTEST) out.push([(from * FRAME) / RATE, (t * FRAME) / RATE]);
    from = t + 1;
  }
  return out;
}

export async function decode(mp3) {
  try {
    const heard = new OfflineAudioContext(1, 1, RATE);
    return (await heard.decodeAudioData(bytes(mp3).slice().buffer)).getChannelData(0);
  } catch {
    return null;
  }
}

// The log-mel as an address of an image.
export function picture(wave, dark) {
  const T = Math.min(240, Math.ceil(wave.length / 160));
  const m = logmel(wave, T);
  const c = document.createElement('canvas');
  const g = c.getContext('2d');
  c.width = T;
  c.height = BANDS;
  const image = g.createImageData(T, BANDS);
  for (let t = 0; t < T; t++) {
    for (let b = 0; b < BANDS; b++) {
      const v = clamp(1 + m[t * BANDS + b] / 65, 0, 1);
      const o = 4 * ((BANDS - 1 - b) * T + t);
      image.data.fill(dark ? 235 : 25, o, o + 3);
      image.data[o + 3] = 255 * v * v;
    }
  }
  g.putImageData(image, 0, 0);
  return c.toDataURL();
}
