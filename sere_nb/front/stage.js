// What one map and two of them have in common: time, and how maps are drawn.
import {Clock, PLAYED} from './clock.js';
import {FORMS, SHAPES, h, s, select, small, text} from './dom.js';

function form(path, look) {
  const box = {class: 'mark', viewBox: '-7 -6 14 12', 'aria-hidden': 'true'};
  return s('svg', box, s('path', {d: path, ...look}));
}

// Who extends it has `stories`, `maps`, `plots`, and `settled`: what follows a round.
export class Stage {
  constructor(root) {
    Object.assign(this, {root, chosen: null, ticking: 0, last: 0, later: 0});
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    this.clock = new Clock();
    this.told = new Map();
    this.said = h('span', {class: 'count', role: 'status'});
  }

  // Its elements stand in the page: what the page does from now on is followed.
  open(element) {
    this.root.replaceChildren(element);
    this.root.explorer = this;
    const sized = new ResizeObserver(() => this.maps.forEach(o => o.redraw()));
    this.maps.forEach(o => sized.observe(o.canvas));
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', () => this.theme());
    const theme = {attributes: true, attributeFilter: ['data-jp-theme-light']};
    new MutationObserver(() => this.theme()).observe(document.body, theme);
    this.timeline();
  }

  // ---- what is on the page ----

  ground(map) {
    const zoom = h(
      'div',
      {class: 'zoom'},
      h('button', {'aria-label': 'zoom in', onclick: () => map.nearer(1.5)}, '+'),
      h('button', {'aria-label': 'zoom out', onclick: () => map.nearer(1 / 1.5)}, '−'),
    );
    return h('div', {class: 'ground'}, map.canvas, map.tip, ...map.axes, zoom);
  }

  // Which ground, which shapes, which trails.
  looks(layouts) {
    const each = act => v => this.maps.forEach(o => (act(o, v), o.redraw()));
    const grounds = Object.entries(layouts).map(([k, what]) => [k, `${k}: ${what}`]);
    const lay = each((o, v) => ((o.wish = v), o.ground()));
    const kind = select('ground of the map', grounds, this.maps[0].wish, v => {
      this.link.kind?.(v);
      lay(v);
    });
    const shapes = [
      ['language', 'shape: language'],
      ['emotion', 'shape: emotion'],
    ];
    const by = each((o, v) => (o.byEmotion = v == 'emotion'));
    const ways = [
      ['all', 'trails: where each came from'],
      ['late', 'trails: late ones only'],
      ['none', 'no trails'],
    ];
    const trails = each((o, v) => (o.trails = v));
    return [
      kind,
      select('shape of a clip', shapes, 'language', by),
      select('trails', ways, 'all', trails),
    ];
  }

  rope(hands) {
    const title = 'draw around clips to list them';
    const press = e =>
      e.currentTarget.setAttribute('aria-pressed', String(hands.map(o => o.rope())[0]));
    const look = {class: 'toggle', 'aria-pressed': 'false', title};
    return h('button', {...look, onclick: press}, 'lasso');
  }

  judges() {
    const judge = () => this.judge(!this.maps[0].judge);
    const why = {class: 'toggle', title: 'mark what is right and wrong on the map'};
    return (this.judging = h('button', {...why, onclick: judge}, '✓ ✗ on the map'));
  }

  // Right and wrong on the map, or not.
  judge(on) {
    this.judging.setAttribute('aria-pressed', String(on));
    this.maps.forEach(o => {
      o.judge = on;
      o.redraw();
    });
  }

  times() {
    const button = (face, label, act) =>
      h('button', {'aria-label': label, onclick: act}, face);
    this.start = button('▶', 'play the rounds', () => this.play());
    this.start.className = 'toggle';
    this.back = button('‹', 'a round back', () => this.go(this.clock.goal - 1));
    this.forth = button('›', 'a round on', () => this.go(this.clock.goal + 1));
    const seek = e => this.go(+e.target.value);
    const scale = {type: 'range', min: 0, max: 0, value: 0, 'aria-label': 'round'};
    this.slider = h('input', {...scale, oninput: seek});
    this.which = h('output', {});
    const parts = [this.start, this.back, this.slider, this.forth, this.which];
    return h('div', {class: 'time'}, ...parts);
  }

  legend() {
    const {languages} = this.maps[0];
    const spoken = languages.map((o, j) =>
      small(form(SHAPES[FORMS[j % FORMS.length]], {fill: 'var(--dim)'}), text(o)),
    );
    const shot = small(form(SHAPES.D, {fill: 'none', stroke: 'var(--ink)'}), 'shot');
    const rest = small('★ prototype · ○ no idea yet · the fuller, the surer');
    const late = small('━ turned late');
    const shown = languages.length > 1 ? spoken : [];
    return h('div', {class: 'row'}, ...shown, shot, rest, late, this.said);
  }

  // What there is to say of something; '' when it no longer holds.
  say(of, what = '') {
    this.told.delete(of);
    if (what) this.told.set(of, what);
    this.said.textContent = [...this.told.values()].at(-1) ?? '';
  }

  // Another theme: what is painted in colours of its own is painted again.
  theme() {
    this.maps.forEach(o => o.recolour());
    this.again();
  }

  // ---- time ----

  // Each story is at the round on show, or at its last.
  turn() {
    this.stories.forEach(o => (o.at = Math.min(this.clock.round, o.end)));
  }

  tick(t) {
    const {clock} = this;
    const before = clock.round;
    clock.step(t - this.last, this.still.matches);
    this.last = t;
    this.turn();
    this.maps.forEach(o => o.paint());
    this.running();
    if (clock.round != before) this.shown();
    if (!clock.moving) {
      this.ticking = 0;
      this.running();
      return this.shown();
    }
    const next = () => requestAnimationFrame(o => this.tick(o));
    this.ticking =
      clock.playing && this.still.matches ? setTimeout(next, PLAYED) : next();
  }

  glide() {
    if (this.ticking || !this.clock.moving) return;
    this.last = performance.now();
    this.ticking = requestAnimationFrame(o => this.tick(o));
  }

  go(r, keep = false) {
    if (!this.rounds) return;
    if (!keep) this.clock.playing = false;
    this.clock.seek(r);
    this.running();
    this.glide();
  }

  play() {
    this.clock.play();
    this.turn();
    this.shown();
    this.glide();
    this.running();
  }

  // From the start, once, by itself, when the map is in sight; those who want less
  // motion see the end.
  premiere() {
    if (this.still.matches || !this.clock.end) return;
    this.jump(0);
    const seen = new IntersectionObserver(
      entries => {
        if (!entries.some(o => o.isIntersecting)) return;
        seen.disconnect();
        setTimeout(() => {
          const {clock} = this;
          if (clock.time == 0 && !clock.moving && !clock.playing) this.play();
        }, PLAYED);
      },
      {threshold: 0.3},
    );
    seen.observe(this.maps[0].canvas);
  }

  // Rounds that arrive are played one by one.
  follow() {
    const {clock} = this;
    if (this.still.matches) return this.go(clock.end);
    clock.playing = true;
    clock.goal = Math.min(clock.end, Math.floor(clock.time) + 1);
    this.running();
    this.glide();
  }

  // Slider, words and cursors run with time.
  running() {
    const {clock, slider, which, start} = this;
    const r = clock.playing ? clock.round : clock.goal;
    slider.max = clock.end;
    slider.value = r;
    which.textContent = this.rounds ? `round ${r} of ${clock.end}` : 'no round yet';
    slider.setAttribute('aria-valuetext', which.textContent);
    start.textContent = clock.playing ? '❚❚' : '▶';
    start.setAttribute('aria-label', clock.playing ? 'pause' : 'play the rounds');
    this.back.disabled = r <= 0;
    this.forth.disabled = r >= clock.end;
    this.plots.forEach(o => o.at(clock.time));
  }

  timeline() {
    this.plots.forEach(o => o.draw());
    this.running();
  }

  // Another round is on show; while it runs, what is slow to draw waits.
  shown() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.settled(), this.ticking ? 250 : 0);
  }

  jump(r) {
    this.clock.jump(r);
    this.turn();
    this.timeline();
    this.shown();
  }

  get round() {
    return this.clock.round;
  }

  get rounds() {
    return Math.max(...this.stories.map(o => o.rounds.length));
  }

  get moving() {
    return !!this.ticking;
  }
}
