// All together: an element to live in, what `page_data` gives, and a link to sounds.
import {Basket} from './basket.js';
import {Charts} from './chart.js';
import {Clock, PLAYED} from './clock.js';
import {Story} from './data.js';
import {FORMS, SHAPES, h, s, select, small, text} from './dom.js';
import {Hand} from './hand.js';
import {List} from './list.js';
import {Controls} from './live.js';
import {GroundMap} from './map.js';
import {Panel} from './panel.js';

function form(path, look) {
  const box = {class: 'mark', viewBox: '-7 -6 14 12', 'aria-hidden': 'true'};
  return s('svg', box, s('path', {d: path, ...look}));
}

export class App {
  constructor(root, D, link) {
    Object.assign(this, {root, D, link, chosen: null, ticking: 0, last: 0, later: 0});
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    this.story = new Story(D);
    this.clock = new Clock();
    this.told = new Map();
    this.said = h('span', {class: 'count', role: 'status'});
    this.map = new GroundMap(this);
    this.hand = new Hand(this.map);
    this.list = new List(this);
    this.basket = new Basket(this);
    this.charts = new Charts(this);
    this.panel = new Panel(this);
    this.controls = link.live ? new Controls(this) : null;
    root.replaceChildren(this.build());
    root.explorer = this;
    this.rest();
    new ResizeObserver(() => this.map.redraw()).observe(this.map.canvas);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', () => this.theme());
    const theme = {attributes: true, attributeFilter: ['data-jp-theme-light']};
    new MutationObserver(() => this.theme()).observe(document.body, theme);
    this.timeline();
  }

  // ---- what is on the page ----

  build() {
    const {map, list} = this;
    const zoom = h(
      'div',
      {class: 'zoom'},
      h('button', {'aria-label': 'zoom in', onclick: () => map.nearer(1.5)}, '+'),
      h('button', {'aria-label': 'zoom out', onclick: () => map.nearer(1 / 1.5)}, '−'),
    );
    const ground = h('div', {class: 'ground'}, map.canvas, map.tip, ...map.axes, zoom);
    const {element, changes} = this.basket;
    this.left = h('div', {}, this.times(), ground, changes, element, this.legend());
    this.side = h('div', {class: 'side'}, this.panel.element);
    const split = h('div', {class: 'split'}, this.left, this.side);
    const fit = this.controls?.element;
    const top = [this.tools(), list.chips];
    return h('div', {class: 'app'}, fit, ...top, split, list.element);
  }

  tools() {
    const {map, list, D} = this;
    const grounds = Object.entries(D.layouts).map(([k, what]) => [k, `${k}: ${what}`]);
    const kind = select('ground of the map', grounds, map.wish, v => {
      map.wish = v;
      this.link.kind?.(v);
      map.ground();
    });
    const shapes = [
      ['language', 'shape: language'],
      ['emotion', 'shape: emotion'],
    ];
    const shape = select('shape of a clip', shapes, 'language', v => {
      map.byEmotion = v == 'emotion';
      map.redraw();
    });
    const ways = [
      ['all', 'trails: where each came from'],
      ['late', 'trails: late ones only'],
      ['none', 'no trails'],
    ];
    const trails = select('trails', ways, 'all', v => {
      map.trails = v;
      map.redraw();
    });
    const judge = () => this.judge(!map.judge);
    const why = {class: 'toggle', title: 'mark what is right and wrong on the map'};
    this.judging = h('button', {...why, onclick: judge}, '✓ ✗ on the map');
    this.judging.hidden = list.answer.hidden;
    const title = 'draw around clips to list them';
    const press = e =>
      e.currentTarget.setAttribute('aria-pressed', String(this.hand.rope()));
    const look = {class: 'toggle', 'aria-pressed': 'false', title};
    const rope = h('button', {...look, onclick: press}, 'lasso');
    return h(
      'div',
      {class: 'tools'},
      kind,
      shape,
      trails,
      rope,
      this.judging,
      list.search(),
      list.filters,
    );
  }

  // Right and wrong on the map, or not.
  judge(on) {
    this.map.judge = on;
    this.judging.setAttribute('aria-pressed', String(on));
    this.map.redraw();
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
    const {languages} = this.map;
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

  verdict(i) {
    const right = this.story.right(i);
    if (right == null) return ['– ', 'count'];
    return right ? ['✓ ', 'yes'] : ['✗ ', 'no'];
  }

  // Another theme: what is painted in colours of its own is painted again.
  theme() {
    this.map.recolour();
    this.panel.again();
  }

  // ---- time ----

  tick(t) {
    const {clock, story} = this;
    const before = clock.round;
    clock.step(t - this.last, this.still.matches);
    this.last = t;
    story.at = clock.round;
    this.map.paint();
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
    if (!this.story.rounds.length) return;
    if (!keep) this.clock.playing = false;
    this.clock.seek(r);
    this.running();
    this.glide();
  }

  play() {
    this.clock.play();
    this.story.at = this.clock.round;
    this.shown();
    this.glide();
    this.running();
  }

  // From the start, once, by itself, when the map is in sight; those who want less
  // motion see the end.
  premiere() {
    if (this.still.matches || !this.story.end) return;
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
    seen.observe(this.map.canvas);
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
    const {clock, story, slider, which, start} = this;
    const r = clock.playing ? clock.round : clock.goal;
    slider.max = story.end;
    slider.value = r;
    which.textContent = story.rounds.length
      ? `round ${r} of ${story.end}`
      : 'no round yet';
    slider.setAttribute('aria-valuetext', which.textContent);
    start.textContent = clock.playing ? '❚❚' : '▶';
    start.setAttribute('aria-label', clock.playing ? 'pause' : 'play the rounds');
    this.back.disabled = r <= 0;
    this.forth.disabled = r >= story.end;
    this.charts.at(clock.time);
  }

  timeline() {
    this.charts.draw();
    this.running();
  }

  // Another round is on show; while it runs, what is slow to draw waits.
  shown() {
    clearTimeout(this.later);
    const catchUp = () => {
      this.filter();
      this.panel.again();
      this.link.round?.(this.clock.round);
    };
    this.later = setTimeout(catchUp, this.ticking ? 250 : 0);
  }

  // ---- clips ----

  filter() {
    if (this.story.rounds.length) {
      this.list.sieve();
      this.list.table();
    }
    this.map.redraw();
  }

  // Clips that were picked together; null for all again.
  pick(rows, what) {
    this.list.picked = rows?.length ? new Set(rows) : null;
    this.basket.pick(rows, what);
    if (rows?.length) this.list.show('all');
    else this.hand.loose();
    this.filter();
  }

  choose(i, sound = false, inTurn = false) {
    if (!inTurn) this.basket.turn++;
    this.chosen = i;
    this.left.append(this.charts.element);
    this.map.redraw();
    this.list.mark();
    this.link.chose?.(i);
    this.say('chosen', this.story.about(i));
    return this.panel.show(i, sound);
  }

  close() {
    this.chosen = null;
    this.say('chosen');
    this.rest();
    this.map.redraw();
    this.list.mark();
    this.link.chose?.(-1);
  }

  // No clip is chosen: its place is the charts'.
  rest() {
    this.panel.close();
    this.side.append(this.charts.element);
  }

  hearOrPause() {
    if (this.chosen == null || this.panel.hearOrPause()) return;
    this.choose(this.chosen, true);
  }

  // ---- what page and widget tell ----

  add(list, first = 0) {
    const {story, clock} = this;
    const had = story.rounds.length;
    const where = clock.goal;
    list.forEach((o, j) => story.add(first + j, o));
    clock.end = story.end;
    this.map.ground();
    if (had == story.rounds.length || !first) {
      this.jump(had == story.rounds.length ? where : story.end);
    } else this.follow();
    this.timeline();
    this.filter();
  }

  jump(r) {
    this.clock.jump(r);
    this.story.at = this.clock.round;
    this.timeline();
    this.shown();
  }

  cut(n) {
    const {story, clock} = this;
    story.rounds.length = Math.min(story.rounds.length, n);
    clock.end = story.end;
    this.jump(clock.time);
    this.filter();
  }

  shots(b) {
    this.story.setShots(b);
    this.filter();
    this.panel.again();
    this.timeline();
  }

  reveal(label) {
    if (this.story.revealed) return;
    this.story.reveal(label);
    this.list.answer.hidden = this.judging.hidden = false;
    this.judge(true);
    this.timeline();
    this.filter();
    this.panel.again();
  }

  // Ring what is called something else since before a round.
  changed(r) {
    const {rounds, end} = this.story;
    const before = rounds[r - 1];
    this.map.showMoved = before ? r : null;
    const n = this.basket.changed(before?.e, rounds[end]?.e);
    this.say('changed', before ? `${n} clips are called something else now` : '');
    this.map.redraw();
  }

  tell(o) {
    this.controls?.tell(o);
  }

  where = i => [this.map.px[2 * i], this.map.px[2 * i + 1]];
  called = i => this.story.name(i);

  get round() {
    return this.clock.round;
  }

  get rounds() {
    return this.story.rounds.length;
  }

  get moving() {
    return !!this.ticking;
  }

  get player() {
    return this.panel.player;
  }

  get kind() {
    return this.map.kind;
  }
}
