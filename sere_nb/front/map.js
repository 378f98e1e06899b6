// The map: a canvas on which each look of a clip is painted once and then stamped.
import {NONE, clamp} from './data.js';
import {FORMS, h} from './dom.js';
import {OFF, SHOT, Stamps, level} from './stamps.js';

export const MARGIN = 18;
const MANY = 15000; // beyond, a shape could not be told
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
    this.showMoved = null; // ring what changed since the round before this one
    this.lasso = null;
    this.waiting = 0;
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
    if (this.wish != v && v) this.app.say(`${this.wish} is being laid; this is ${v}`);
    if (!v || v == this.kind) return;
    this.kind = v;
    Object.assign(this.zoom, {x: 0.5, y: 0.5, by: 1});
    this.axes.forEach(o => (o.hidden = v != 'circumplex'));
    this.redraw();
  }

  redraw() {
    this.waiting ||= requestAnimationFrame(() => this.paint());
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
    if (!W) return;
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
    this.clips(frame);
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.moved();
    if (this.app.chosen != null) this.path(frame);
    this.stars(frame);
    this.line();
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
    const put = (i, l) => {
      const k = now.e[i];
      const form = this.byEmotion ? this.app.D.classes[k].marker : this.forms[i];
      const x = Math.round(px[2 * i] * dpr - half);
      const y = Math.round(px[2 * i + 1] * dpr - half);
      ctx.drawImage(stamps.get(form, k, l), x, y);
    };
    if (this.inside > MANY) stamps.dots(this);
    else {
      for (let i = 0; i < N; i++) if (!seen[i]) put(i, OFF);
      for (let i = 0; i < N; i++) {
        if (seen[i] && shot[i] == NONE) put(i, level(now.sure[i]));
      }
    }
    for (let i = 0; i < N; i++) if (seen[i] && shot[i] < NONE) put(i, SHOT);
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
