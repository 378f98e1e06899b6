import assert from 'node:assert/strict';
import {test} from 'node:test';
import {RATE, logmel, peaks, silences, spectrum} from '../../sere_nb/front/sound.js';

const tone = (hz, seconds) =>
  Float32Array.from({length: RATE * seconds}, (_, j) =>
    Math.sin((2 * Math.PI * hz * j) / RATE),
  );

test('the spectrum is that of the sum, term by term', () => {
  const x = Float32Array.from({length: 16}, (_, j) => Math.sin(j) + ((j * 7) % 5));
  const fast = spectrum(x.slice());
  for (let k = 0; k < 8; k++) {
    let [a, b] = [0, 0];
    x.forEach((v, j) => {
      a += v * Math.cos((2 * Math.PI * j * k) / 16);
      b -= v * Math.sin((2 * Math.PI * j * k) / 16);
    });
    assert.ok(Math.abs(fast[k] - a * a - b * b) < 1e-3 * (1 + fast[k]));
  }
});

test('a higher tone lies in a higher band; the loudest is 0 dB', () => {
  const loudest = hz => {
    const m = logmel(tone(hz, 0.5), 4);
    assert.equal(Math.max(...m), 0);
    const middle = [...m.subarray(40, 80)];
    return middle.indexOf(Math.max(...middle));
  };
  const bands = [200, 500, 1000, 2000, 4000].map(loudest);
  assert.deepEqual(
    bands.toSorted((a, b) => a - b),
    bands,
  );
  assert.equal(new Set(bands).size, 5);
});

test('peaks follow the loudness', () => {
  const wave = tone(300, 1).map((v, j) => (j < RATE / 2 ? v : v / 10));
  const p = peaks(wave);
  assert.ok(p.length >= 160);
  assert.ok(p[10] > 0.9 && p.at(-10) < 0.11 && p.at(-10) > 0.08);
});

test('silence is found, whatever the loudness', () => {
  for (const by of [1, 0.001]) {
    const wave = tone(300, 1.2).map((v, j) => {
      const t = j / RATE;
      return t < 0.3 || (t > 0.6 && t < 0.64) || t > 0.9 ? 0 : v * by;
    });
    const found = silences(wave).map(o => o.map(t => t.toFixed(1)));
    assert.deepEqual(found, [
      ['0.0', '0.3'],
      ['0.9', '1.2'],
    ]);
  }
  assert.deepEqual(silences(tone(300, 0.5)), []);
  assert.deepEqual(silences(new Float32Array(0)), []);
});
