// A clip over time: its sound, and how each moment resonates with each emotion.
import {bytes, fixed} from './data.js';
import {YELLOW, colour, s, shape} from './dom.js';
import {RATE, peaks, picture, silences} from './sound.js';

// Round numbers from a to b, every d.
export function range(a, b, d) {
  const first = Math.ceil(a / d - 1e-6);
  const n = Math.max(0, Math.floor(b / d + 1e-6) - first + 1);
  return Array.from({length: n}, (_, j) => (first + j) * d);
}

// The numbers of a clip's field, unpacked.
export function unpack(o, K) {
  const b = bytes(o.r);
  const weight = bytes(o.weight);
  const n = weight.length;
  const value = (t, k) => o.low + (b[t * K + k] / 255) * (o.high - o.low);
  const step = n > 1 ? (o.last_s - o.first_s) / (n - 1) : 0;
  let low = Infinity;
  let high = -Infinity;
  for (let t = 0; t < n; t++) {
    for (let k = 0; k < K; k++) {
      low = Math.min(low, value(t, k));
      high = Math.max(high, value(t, k));
    }
  }
  if (high - low < 0.02) {
    low -= 0.01;
    high += 0.01;
  }
  return {n, weight, value, low, high, at: t => o.first_s + t * step};
}

export class Field {
  constructor(app, i, o, wave) {
    const {D, story} = app;
    Object.assign(this, {app, i, o, wave, K: story.K});
    this.data = unpack(o, story.K);
    if (!this.data.n) return;
    this.zero = D.start_s?.[i] ?? o.first_s; // where speech starts in the file
    const from = this.zero;
    const to = Math.max(from + (D.seconds?.[i] ?? 0), o.last_s, from + 0.05);
    const {low, high} = this.data;
    const W = Math.max(260, (app.panel?.element.clientWidth || 534) - 34);
    const [L, R, B] = [40, 8, 52];
    const T = wave ? 92 : 8;
    const H = T + 205;
    Object.assign(this, {W, H, L, R, from, to});
    this.x = t => +(L + ((t - from) / (to - from)) * (W - L - R)).toFixed(1);
    this.y = v => +(H - B - ((v - low) / (high - low)) * (H - B - T)).toFixed(1);
    this.svg = this.draw();
  }

  draw() {
    const {o, W, H, wave} = this;
    const what = wave ? 'Sound, log-mel and resonance' : 'Resonance';
    const till = `${fixed(o.from_s)} to ${fixed(o.to_s)} s`;
    const label = `${what} over time; highlight from ${till}`;
    const props = {viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': label};
    const svg = s('svg', {class: 'chart', ...props}, this.highlight());
    if (wave) svg.append(...this.sound());
    svg.append(...this.silent(), ...this.scales(), ...this.weights(), ...this.curves());
    const line = {d: `M0 0V${H - 18}`, stroke: 'var(--ink)', 'stroke-width': 1.2};
    this.head = s('path', {...line, visibility: 'hidden'});
    svg.append(this.head);
    return svg;
  }

  highlight() {
    const {o, from, to, H} = this;
    const a = this.x(Math.max(from, o.from_s));
    const z = this.x(Math.min(to, o.to_s));
    const width = Math.max(2, z - a);
    return s('rect', {x: a, y: 0, width, height: H - 18, fill: 'var(--shade)'});
  }

  sound() {
    const {wave, zero, L} = this;
    const heights = peaks(wave);
    const top = Math.max(1e-6, ...heights);
    const end = this.x(zero + wave.length / RATE);
    const across = j => (L + (j * (end - L)) / (heights.length - 1)).toFixed(1);
    const edge = sign => (v, j) =>
      `${across(j)} ${(16 + (sign * 14 * v) / top).toFixed(1)}`;
    const outline = [...heights.map(edge(-1)), ...heights.map(edge(1)).reverse()];
    const dark = getComputedStyle(this.app.root).colorScheme == 'dark';
    const box = {x: L, y: 33, width: end - L, height: 52, preserveAspectRatio: 'none'};
    const shaded = {fill: 'var(--dim)', opacity: 0.6};
    return [
      s('path', {d: `M${outline.join('L')}z`, ...shaded}),
      s('image', {href: picture(wave, dark), ...box}),
      s('text', {x: 2, y: 20}, 'sound'),
      s('text', {x: 2, y: 62}, 'mel'),
    ];
  }

  // Where it is silent: whatever stands there says nothing of emotion.
  silent() {
    const {wave, zero, H} = this;
    this.silence = wave ? silences(wave) : [];
    if (!this.silence.length) return [];
    const line = s('path', {d: 'M0 6L6 0', stroke: 'var(--dim)', 'stroke-width': 1});
    const tile = {id: `hatch${this.i}`, width: 6, height: 6};
    const pattern = s('pattern', {...tile, patternUnits: 'userSpaceOnUse'}, line);
    const boxes = this.silence.map(([a, b]) => {
      const [x, z] = [this.x(zero + a), this.x(zero + b)];
      const box = {x, y: 0, width: Math.max(1, z - x), height: H - 18};
      const fill = {fill: `url(#hatch${this.i})`, opacity: 0.45};
      return s('rect', {class: 'silent', ...box, ...fill});
    });
    return [s('defs', {}, pattern), ...boxes];
  }

  scales() {
    const {x, y, W, H, L, R, from, to} = this;
    const {low, high} = this.data;
    const steps = [0.02, 0.05, 0.1, 0.2, 0.5, 1];
    const beats = [0.1, 0.2, 0.5, 1, 2, 5];
    const step = steps.find(o => (high - low) / o <= 5) ?? 2;
    const beat = beats.find(o => (to - from) / o <= 8) ?? 10;
    const values = range(low, high, step).flatMap(v => [
      s('path', {
        d: `M${L} ${y(v)}H${W - R}`,
        stroke: 'var(--line)',
        'stroke-width': Math.abs(v) < 1e-6 ? 1.4 : 0.6,
      }),
      s(
        'text',
        {x: L - 4, y: y(v) + 4, 'text-anchor': 'end'},
        v.toFixed(step < 0.1 ? 2 : 1),
      ),
    ]);
    const times = range(from, to, beat).filter(t => x(t) < W - 30);
    const seconds = times.map(t =>
      s(
        'text',
        {x: x(t), y: H - 5, 'text-anchor': 'middle'},
        t.toFixed(beat < 1 ? 1 : 0),
      ),
    );
    const unit = s('text', {x: W - R, y: H - 5, 'text-anchor': 'end'}, 's');
    return [...values, ...seconds, unit, s('text', {x: 2, y: H - 22}, 'weight')];
  }

  weights() {
    const {x, W, H, L, R} = this;
    const {n, weight, at} = this.data;
    const wide = (W - L - R) / n;
    return Array.from({length: n}, (_, t) => {
      const height = (weight[t] / 255) * 26;
      const box = {
        x: x(at(t)) - wide / 2,
        y: H - 18 - height,
        width: wide * 0.9,
        height,
      };
      return s('rect', {...box, fill: 'var(--dim)'});
    });
  }

  // A line an emotion; that of the answer lies on top.
  curves() {
    const {x, y, i} = this;
    const {n, value, at} = this.data;
    const {classes} = this.app.D;
    const own = this.app.story.emotion(i);
    const every = Math.max(4, Math.round(n / 5));
    const order = [...classes.keys()].filter(k => k != own).concat(own);
    return order.map(k => {
      const c = classes[k];
      const points = Array.from({length: n}, (_, t) => [x(at(t)), y(value(t, k))]);
      const d = 'M' + points.map(o => o.join(' ')).join('L');
      const best = k == own ? ' best' : '';
      const g = s('g', {class: 'line' + best, 'data-k': k});
      if (c.colour == YELLOW) g.append(s('path', {d, class: 'curve edge'}));
      const look = {class: 'curve', stroke: colour(c), 'stroke-dasharray': c.dash};
      g.append(s('path', {d, ...look}));
      for (let t = n > 1 ? k % every : 0; t < n; t += every)
        g.append(shape(c, ...points[t]));
      return g;
    });
  }

  // The head moves with the sound.
  follow(t) {
    this.head.setAttribute('visibility', 'visible');
    this.head.setAttribute('transform', `translate(${this.x(this.zero + t)} 0)`);
  }
}
