// The map: a canvas on which each look of a clip is painted once and then stamped.
import {NONE, clamp} from './data.js';
import {FORMS, h} from './dom.js';
import {OFF, SHOT, Stamps, level} from './stamps.js';

export const MARGIN = 18;
const MANY = 15000; // beyond, a shape could not be told
export const MOST = 3000; // trails and marks
const LATE = 2; // the round from which on a change is one of those that came late
const FEW = 40; // prototypes whose names fit on the map
export const ease = t => t * t * (3 - 2 * t);

export class GroundMap {
  constructor(app) {
    const {N} = app.story;
    this.app = app;
    this.seen = new Uint8Array(N).fill(1);
    this.px = new Float32Array(2 * N); // where clips stand, in CSS pixels
    this.zoom = {x: 0.5, y: 0.5, by: 1};
    this.size = clamp(6.2 - 1.1 * Math.log10(Math.max(N, 10)), 1.3, 4.2);
    this.kind = null; // the ground on show
    this.wish = Object.keys(app.D.layouts)[0]; // another stands in until it is laid
    this.byEmotion = false;
    this.trails = 'all';
    this.judge = false; // mark right and wrong, once labels are revealed
    this.showMoved = null; // ring what changed since the round before this one
    this.lasso = null;
    this.waiting = 0;
    this.twin = null; // the other of two maps, drawn with this one
    this.stamps = null;
    this.languages = [...new Set(app.D.language ?? [''])].sort();
    const form = o => FORMS[this.languages.indexOf(o) % FORMS.length];
    const formOf = new Map(this.languages.map(o => [o, form(o)]));
    this.forms = Array.from({length: N}, (_, i) =>
      formOf.get(app.D.language?.[i] ?? ''),
    );
    const role = {role: 'application', 'aria-roledescription': 'map of clips'};
    this.canvas = h('canvas', {class: 'map', tabindex: 0, ...role});
    this.ctx = this.canvas.getContext('2d');
    this.tip = h('div', {class: 'tip', hidden: ''});
    this.axes = [
      h('span', {class: 'axis x', hidden: ''}, 'valence →'),
      h('span', {class: 'axis y', hidden: ''}, '↑ arousal'),
    ];
    const keys =
      'Arrow keys: next clip in that direction. Space: play. Comma and full stop:' +
      ' rounds. P: play the rounds. Plus, minus, 0: zoom.';
    const what = `Map of ${N} clips around ${app.story.K} prototypes. ${keys}`;
    this.canvas.setAttribute('aria-label', what);
  }

  // Grounds that are laid in every round.
  get kinds() {
    const {rounds} = this.app.story;
    const laid = k => rounds.length && rounds.every(o => o.xy[k]);
    return Object.keys(this.app.D.layouts).filter(laid);
  }

  ground() {
    const v = this.kinds.includes(this.wish) ? this.wish : this.kinds[0];
    const other = v && this.wish != v;
    this.app.say('ground', other ? `${this.wish} is being laid; this is ${v}` : '');
    if (!v || v == this.kind) return;
    this.kind = v;
    Object.assign(this.zoom, {x: 0.5, y: 0.5, by: 1});
    this.axes.forEach(o => (o.hidden = v != 'circumplex'));
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => this.paint());
    this.twin?.redraw();
  }

  // Another theme: everything is stamped anew.
  recolour() {
    this.stamps = null;
    this.redraw();
  }

  paint() {
    this.waiting = 0;
    const {canvas, ctx} = this;
    const {story, clock} = this.app;
    const {clientWidth: W, clientHeight: H} = canvas;
    const dpr = devicePixelRatio || 1;
    if (!W) return this.unseen();
    const [w, tall] = [Math.round(W * dpr), Math.round(H * dpr)];
    if (canvas.width != w || canvas.height != tall) {
      canvas.width = w;
      canvas.height = tall;
    }
    if (!this.stamps || this.stamps.dpr != dpr)
      this.stamps = new Stamps(this.app, this.size, dpr);
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    if (!this.kinds.includes(this.kind)) {
      this.kind = null;
      this.ground();
    }
    if (!this.kind) return this.nothing(dpr, W, H);
    const a = clamp(Math.floor(clock.time), 0, story.end);
    const A = story.rounds[a];
    const B = story.rounds[Math.min(a + 1, story.end)];
    const f = ease(clamp(clock.time - a, 0, 1));
    const {zoom} = this;
    const X = u => ((u - zoom.x) * zoom.by + 0.5) * (W - 2 * MARGIN) + MARGIN;
    const Y = u => (0.5 - (u - zoom.y) * zoom.by) * (H - 2 * MARGIN) + MARGIN;
    const frame = {a, A, B, f, X, Y, W, H, dpr};
    this.place(frame);
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.ways(frame);
    this.clips(frame);
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.moved();
    this.marks();
    if (this.app.chosen != null) this.path(frame);
    this.app.beside?.(this);
    this.stars(frame);
    this.line();
  }

  // Hidden, perhaps for this frame alone, as JupyterLab hides all while its theme
  // turns: then no observer tells that the map is back.
  unseen() {
    setTimeout(() => this.canvas.clientWidth && this.redraw(), 100);
  }

  nothing(dpr, W, H) {
    const {ctx} = this;
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    ctx.fillStyle = this.stamps.dim;
    ctx.font = '15px system-ui';
    ctx.textAlign = 'center';
    ctx.fillText('No round yet: start the fit.', W / 2, H / 2);
  }

  // Where clips stand between two rounds.
  place({A, B, f, X, Y, W, H}) {
    const {px, kind} = this;
    const [p, q] = [A.xy[kind], B.xy[kind]];
    this.inside = 0;
    for (let i = 0; i < this.app.story.N; i++) {
      const x = (px[2 * i] = X((p[2 * i] + (q[2 * i] - p[2 * i]) * f) / 65535));
      const up = p[2 * i + 1] + (q[2 * i + 1] - p[2 * i + 1]) * f;
      const y = (px[2 * i + 1] = Y(up / 65535));
      this.inside += x > 0 && y > 0 && x < W && y < H;
    }
  }

  clips({dpr}) {
    const {N, now, shot} = this.app.story;
    const {px, seen, ctx, stamps} = this;
    const half = stamps.cell / 2;
    const grown = Math.min(1, this.app.clock.time); // grey before the first round
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    const put = (i, l) => {
      const k = now.e[i];
      const form = this.byEmotion ? this.app.D.classes[k].marker : this.forms[i];
      const x = Math.round(px[2 * i] * dpr - half);
      const y = Math.round(px[2 * i + 1] * dpr - half);
      ctx.drawImage(stamps.get(form, k, l), x, y);
    };
    if (this.inside > MANY) stamps.dots(this, grown);
    else {
      for (let i = 0; i < N; i++) if (!seen[i]) put(i, OFF);
      for (let i = 0; i < N; i++) {
        if (seen[i] && shot[i] == NONE) put(i, level(now.sure[i] * grown));
      }
    }
    for (let i = 0; i < N; i++) if (seen[i] && shot[i] < NONE) put(i, SHOT);
  }

  // Where clips came from: a thin line for those that are called so from the start, a
  // strong one, with a ring where it began, for those that turned later.
  ways({a, X, Y}) {
    const {story} = this.app;
    const {ctx, px, kind, seen, stamps} = this;
    if (this.trails == 'none' || this.inside > MANY || !this.app.clock.time) return;
    const {now} = story;
    const all = this.trails == 'all' && story.N <= MOST;
    let left = MOST;
    for (let i = 0; i < story.N && left; i++) {
      const late = now.since[i] >= LATE;
      if (!seen[i] || story.isShot(i) || !(late || all)) continue;
      left--;
      ctx.beginPath();
      for (let r = 0; r <= a; r++) {
        const q = story.rounds[r].xy[kind];
        ctx.lineTo(X(q[2 * i] / 65535), Y(q[2 * i + 1] / 65535));
      }
      ctx.lineTo(px[2 * i], px[2 * i + 1]);
      ctx.strokeStyle = stamps.edge(now.e[i]);
      ctx.globalAlpha = late ? 0.8 : 0.22;
      ctx.lineWidth = late ? 1.6 : 1;
      ctx.stroke();
      if (!late) continue;
      const q = story.rounds[0].xy[kind];
      ctx.beginPath();
      ctx.arc(X(q[2 * i] / 65535), Y(q[2 * i + 1] / 65535), 2.5, 0, 7);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  }

  // A tick or a cross beside each clip whose label is known.
  marks() {
    const {story} = this.app;
    const {ctx, px, seen} = this;
    if (!this.judge || !story.revealed || story.N > MOST) return;
    const css = getComputedStyle(this.app.root);
    const [good, bad] = ['--good', '--bad'].map(o => css.getPropertyValue(o).trim());
    const d = this.size * 0.8;
    for (let i = 0; i < story.N; i++) {
      const right = seen[i] ? story.right(i) : null;
      if (right == null) continue;
      const [x, y] = [px[2 * i] + this.size + 1, px[2 * i + 1] - this.size - 1];
      const [tick, cross] = [
        [
          [-d, 0],
          [-d / 3, d * 0.7],
          [d, -d],
        ],
        [[-d, -d], [d, d], null, [d, -d], [-d, d]],
      ];
      let pen = 'moveTo';
      ctx.beginPath();
      for (const o of right ? tick : cross) {
        if (o) ctx[pen](x + o[0], y + o[1]);
        pen = o ? 'lineTo' : 'moveTo';
      }
      ctx.lineWidth = right ? 1.2 : 2;
      ctx.strokeStyle = right ? good : bad;
      ctx.stroke();
    }
  }

  ring(i, radius, width = 1.6) {
    const {ctx, px} = this;
    ctx.beginPath();
    ctx.arc(px[2 * i], px[2 * i + 1], radius, 0, 7);
    ctx.lineWidth = width;
    ctx.strokeStyle = this.stamps.ink;
    ctx.stroke();
  }

  // Rings around clips that are called something else since a round.
  moved() {
    const {story, clock} = this.app;
    const before = story.rounds[this.showMoved - 1];
    if (this.showMoved == null || this.showMoved > clock.round || !before) return;
    for (let i = 0; i < story.N; i++) {
      if (this.seen[i] && before.e[i] != story.now.e[i])
        this.ring(i, this.size + 3, 1.1);
    }
  }

  // The chosen clip and its way so far.
  path({a, X, Y}) {
    const {ctx, px, kind} = this;
    const {chosen: i, story} = this.app;
    const at = r => {
      const q = story.rounds[r].xy[kind];
      return [X(q[2 * i] / 65535), Y(q[2 * i + 1] / 65535)];
    };
    const places = Array.from({length: a + 1}, (_, r) => at(r));
    ctx.beginPath();
    ctx.setLineDash([4, 3]);
    ctx.lineWidth = 1.4;
    ctx.strokeStyle = ctx.fillStyle = this.stamps.ink;
    for (const o of [...places, [px[2 * i], px[2 * i + 1]]]) ctx.lineTo(...o);
    ctx.stroke();
    ctx.setLineDash([]);
    for (const o of places) {
      ctx.beginPath();
      ctx.arc(...o, 2, 0, 7);
      ctx.fill();
    }
    this.ring(i, this.size + 5, 2.4);
  }

  // Prototypes, with names that do not lie on each other.
  stars({A, B, f, X, Y, W}) {
    const {ctx, kind} = this;
    const {ink, page} = this.stamps;
    const {only} = this.app.list;
    const taken = [];
    const few = this.app.D.classes.length <= FEW;
    const told = i => i != null && this.app.story.emotion(i);
    ctx.font = '600 13px system-ui, sans-serif';
    ctx.lineJoin = 'round';
    this.app.D.classes.forEach(({name}, k) => {
      const [p, q] = [A.stars[kind][k], B.stars[kind][k]];
      const x = X(p[0] + (q[0] - p[0]) * f);
      const y = Y(p[1] + (q[1] - p[1]) * f);
      ctx.globalAlpha = only != null && only != k ? 0.35 : 1;
      star(ctx, x, y);
      ctx.lineWidth = 4;
      ctx.strokeStyle = page;
      ctx.stroke();
      ctx.fillStyle = this.stamps.fill(k);
      ctx.fill();
      ctx.lineWidth = 1.3;
      ctx.strokeStyle = ink;
      ctx.stroke();
      if (!few && k != only && k !== told(this.app.chosen)) return;
      const w = ctx.measureText(name).width;
      const left = x > W - 110 ? x - 15 - w : x + 15;
      const on = ([u, v, l], at) =>
        Math.abs(v - at) < 15 && u < left + w && left < u + l;
      let top = y;
      while (taken.some(o => on(o, top))) top += 4;
      taken.push([left, top, w]);
      ctx.textAlign = 'left';
      ctx.textBaseline = 'middle';
      ctx.lineWidth = 4;
      ctx.strokeStyle = page;
      ctx.strokeText(name, left, top);
      ctx.fillStyle = ink;
      ctx.fillText(name, left, top);
    });
    ctx.globalAlpha = 1;
  }

  line() {
    const {ctx} = this;
    if (!this.lasso?.points) return;
    ctx.beginPath();
    this.lasso.points.forEach(p => ctx.lineTo(...p));
    ctx.closePath();
    ctx.setLineDash([5, 4]);
    ctx.lineWidth = 1.4;
    ctx.strokeStyle = this.stamps.ink;
    ctx.stroke();
    ctx.setLineDash([]);
  }

  // The clip under a point; shots are easier to hit.
  nearest(x, y, reach = 12) {
    const {px, seen} = this;
    const {story} = this.app;
    let at = null;
    let least = reach * reach;
    for (let i = 0; i < story.N; i++) {
      if (!seen[i]) continue;
      const far = (px[2 * i] - x) ** 2 + (px[2 * i + 1] - y) ** 2;
      const d = far - (story.isShot(i) ? 9 : 0);
      if (d < least) {
        least = d;
        at = i;
      }
    }
    return at;
  }

  nearer(factor, x = 0.5, y = 0.5) {
    const {zoom} = this;
    const by = clamp(zoom.by * factor, 1, 40);
    zoom.x += (x - 0.5) * (1 / zoom.by - 1 / by);
    zoom.y += (y - 0.5) * (1 / zoom.by - 1 / by);
    zoom.by = by;
    if (by == 1) zoom.x = zoom.y = 0.5;
    this.redraw();
  }
}

function star(ctx, x, y) {
  ctx.beginPath();
  for (let j = 0; j < 10; j++) {
    const r = j % 2 ? 5 : 12;
    const t = Math.PI * (j / 5 - 0.5);
    ctx.lineTo(x + r * Math.cos(t), y + r * Math.sin(t));
  }
  ctx.closePath();
}
