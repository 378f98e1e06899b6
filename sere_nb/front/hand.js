// What mouse, finger and keys do on the map.
import {clamp, pct} from './data.js';
import {text} from './dom.js';
import {MARGIN} from './map.js';

// Is a point within a closed line? Each crossing of a ray to the right turns it.
export function within(points, x, y) {
  return points.reduce((is, [a, b], j) => {
    const [c, d] = points[(j || points.length) - 1];
    const crossed = b > y != d > y && x < ((c - a) * (y - b)) / (d - b) + a;
    return crossed ? !is : is;
  }, false);
}

export class Hand {
  constructor(map) {
    this.map = map;
    this.app = map.app;
    this.drag = null;
    const on = (type, act, how) => map.canvas.addEventListener(type, act, how);
    on('pointerdown', e => this.press(e));
    on('pointermove', e => (this.drag ? this.pull(e) : this.hover(e)));
    on('pointerup', e => this.release(e));
    on('pointerleave', () => {
      this.tell(null);
      this.app.hovered?.(null);
    });
    on('wheel', e => this.wheel(e), {passive: false});
    on('keydown', e => this.key(e));
  }

  point(e) {
    const b = this.map.canvas.getBoundingClientRect();
    return [e.clientX - b.left, e.clientY - b.top];
  }

  press(e) {
    const {map} = this;
    this.drag = {from: this.point(e), zoom: {...map.zoom}, moved: false};
    map.canvas.setPointerCapture(e.pointerId);
    if (map.lasso) map.lasso = {points: [this.drag.from]};
  }

  pull(e) {
    const {drag, map} = this;
    const {zoom, canvas} = map;
    const [x, y] = this.point(e);
    const [u, v] = [x - drag.from[0], y - drag.from[1]];
    drag.moved ||= Math.hypot(u, v) > 4;
    if (map.lasso) map.lasso.points.push([x, y]);
    else if (drag.moved && zoom.by > 1) {
      zoom.x = drag.zoom.x - u / (canvas.clientWidth - 2 * MARGIN) / zoom.by;
      zoom.y = drag.zoom.y + v / (canvas.clientHeight - 2 * MARGIN) / zoom.by;
    }
    map.redraw();
  }

  hover(e) {
    const [x, y] = this.point(e);
    const {map} = this;
    const i = this.app.story.rounds.length && map.kind ? map.nearest(x, y) : null;
    this.tell(i, x, y);
    this.app.hovered?.(i);
  }

  // A word on a clip, beside a point; null: none.
  tell(i, x, y) {
    const {story, D} = this.app;
    const {tip, canvas} = this.map;
    tip.hidden = i == null;
    if (i == null) return;
    const how = story.isShot(i) ? ', a shot' : ' ' + pct(story.best(i));
    tip.replaceChildren(text(D.path[i]), story.name(i) + how);
    const widest = Math.max(0, canvas.clientWidth - tip.offsetWidth - 4);
    tip.style.left = `${clamp(x + 14, 0, widest)}px`;
    tip.style.top = `${y + 16}px`;
  }

  release(e) {
    const was = this.drag;
    this.drag = null;
    if (this.map.lasso?.points?.length > 2) return this.gather();
    if (!was || was.moved || !this.app.story.rounds.length) return;
    const i = this.map.nearest(...this.point(e));
    if (i != null) this.app.choose(i, true);
  }

  // The clips within the lasso.
  gather() {
    const {app} = this;
    const {px, seen, lasso} = this.map;
    app.list.picked = null;
    app.list.sieve();
    const inside = i => within(lasso.points, px[2 * i], px[2 * i + 1]);
    const rows = [...seen.keys()].filter(i => seen[i] && inside(i));
    app.pick(rows, 'clips in the lasso');
  }

  // The lasso on or off.
  rope() {
    const {map} = this;
    if (map.lasso) this.app.pick(null);
    map.lasso = map.lasso ? null : {};
    map.redraw();
    return !!map.lasso;
  }

  // Its line goes when what it holds is let go.
  loose() {
    if (this.map.lasso) this.map.lasso = {};
  }

  wheel(e) {
    if (!e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    const [x, y] = this.point(e);
    const {clientWidth: W, clientHeight: H} = this.map.canvas;
    this.map.nearer(e.deltaY < 0 ? 1.25 : 0.8, x / W, 1 - y / H);
  }

  key(e) {
    const {app, map} = this;
    const act = {
      ArrowLeft: () => this.walk(-1, 0),
      ArrowRight: () => this.walk(1, 0),
      ArrowUp: () => this.walk(0, -1),
      ArrowDown: () => this.walk(0, 1),
      ' ': () => app.hearOrPause(),
      Enter: () => app.chosen != null && app.choose(app.chosen, true),
      p: () => app.play(),
      ',': () => app.go(app.clock.goal - 1),
      '.': () => app.go(app.clock.goal + 1),
      '+': () => map.nearer(1.5),
      '-': () => map.nearer(1 / 1.5),
      0: () => map.nearer(0),
      Escape: () => app.close(),
    }[e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act();
  }

  // The clip that is nearest in a direction.
  walk(dx, dy) {
    const {px, seen, canvas} = this.map;
    const {chosen, story} = this.app;
    const x = chosen == null ? canvas.clientWidth / 2 : px[2 * chosen];
    const y = chosen == null ? canvas.clientHeight / 2 : px[2 * chosen + 1];
    let at = null;
    let least = Infinity;
    for (let i = 0; i < story.N; i++) {
      if (!seen[i] || i == chosen) continue;
      const [u, v] = [px[2 * i] - x, px[2 * i + 1] - y];
      const on = u * dx + v * dy;
      const off = Math.abs(u * dy) + Math.abs(v * dx);
      if (on > 0.01 && off <= 1.2 * on && on + 2 * off < least) {
        least = on + 2 * off;
        at = i;
      }
    }
    if (at != null) this.app.choose(at);
  }
}
