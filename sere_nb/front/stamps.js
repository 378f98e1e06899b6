// How a clip looks: each look is painted once and then stamped, or is a dot.
import {NONE} from './data.js';
import {SHAPES, YELLOW, hue} from './dom.js';

// How full a shape is, by how sure. The first is no colour at all: a small grey ring.
const FULL = [0, 0.1, 0.4, 0.7, 1];
export const OFF = FULL.length; // a clip that a filter hides
export const SHOT = OFF + 1;
export const level = v => (v < 26 ? 0 : v < 90 ? 1 : v < 150 ? 2 : v < 205 ? 3 : 4);
const DARKER = '#8f8600'; // of yellow, where a line must be seen on white

const probe = () =>
  document.createElement('canvas').getContext('2d', {willReadFrequently: true});

export class Stamps {
  constructor(app, size, dpr) {
    const css = getComputedStyle(app.root);
    const [ink, page, dim] = ['--ink', '--page', '--dim'].map(o =>
      css.getPropertyValue(o).trim(),
    );
    Object.assign(this, {app, size, dpr, ink, page, dim, made: new Map()});
    this.light = css.colorScheme != 'dark';
    this.cell = Math.ceil((size * 4 + 4) * dpr); // pixels of a stamp's side
  }

  fill(k) {
    return hue(this.app.D.classes[k], this.ink);
  }

  // The stamp of a shape, an emotion, and how sure; made when it is first wanted.
  get(form, k, l) {
    const key = `${form} ${k} ${l}`;
    if (!this.made.has(key)) this.made.set(key, this.make(form, k, l));
    return this.made.get(key);
  }

  // The colour of a line.
  edge(k) {
    const c = this.app.D.classes[k].colour;
    return c == YELLOW && this.light ? DARKER : this.fill(k);
  }

  make(form, k, l) {
    const {cell, dpr, ink, dim} = this;
    const c = document.createElement('canvas');
    c.width = c.height = cell;
    const g = c.getContext('2d');
    const shot = l == SHOT;
    const path = new Path2D(SHAPES[shot ? 'D' : l ? form : 'o']);
    const by = (this.size / 4.2) * (shot ? 1.75 : l ? 1 : 0.7);
    g.setTransform(dpr * by, 0, 0, dpr * by, cell / 2, cell / 2);
    g.globalAlpha = shot ? 1 : l == OFF ? 0.1 : FULL[l];
    g.fillStyle = l == OFF ? dim : this.fill(k);
    g.fill(path);
    if (l == OFF) return c;
    g.globalAlpha = l ? 1 : 0.75;
    g.lineWidth = (shot ? 1.2 : 1) / by;
    g.strokeStyle = shot ? ink : l ? this.edge(k) : dim;
    g.stroke(path);
    return c;
  }

  // Where clips are too many for shapes: blended into the picture's own bytes.
  dots({canvas, ctx, px, seen}, grown) {
    const {N, now, shot} = this.app.story;
    const {width: W, height: H} = canvas;
    const image = ctx.createImageData(W, H);
    const side = Math.max(2, Math.round(1.6 * this.dpr));
    const brush = probe();
    const rgb = css => {
      brush.fillStyle = css;
      brush.fillRect(0, 0, 1, 1);
      return brush.getImageData(0, 0, 1, 1).data;
    };
    const hues = this.app.D.classes.map((_, k) => rgb(this.fill(k)));
    const dim = rgb(this.dim);
    for (let i = 0; i < N; i++) {
      if (shot[i] < NONE) continue;
      const x = Math.round(px[2 * i] * this.dpr);
      const y = Math.round(px[2 * i + 1] * this.dpr);
      if (x < 0 || y < 0 || x > W - side || y > H - side) continue;
      const l = level(now.sure[i] * grown);
      const look = seen[i] && l ? hues[now.e[i]] : dim;
      blend(image, x, y, side, look, seen[i] ? 0.2 + 0.13 * l : 0.03);
    }
    ctx.putImageData(image, 0, 0);
  }
}

function blend(image, x, y, side, colour, opacity) {
  const {data: d, width: W} = image;
  for (let v = y; v < y + side; v++) {
    for (let u = x; u < x + side; u++) {
      const o = 4 * (v * W + u);
      const old = d[o + 3] / 255;
      const now = opacity + old * (1 - opacity);
      for (let c = 0; c < 3; c++) d[o + c] += ((colour[c] - d[o + c]) * opacity) / now;
      d[o + 3] = 255 * now;
    }
  }
}
