// Two maps of the same clips, linked: what is done to one is done to both.
import {Charts} from './chart.js';
import {Story, pct} from './data.js';
import {h, small, tag, text} from './dom.js';
import {Hand} from './hand.js';
import {GroundMap, MOST} from './map.js';
import {Otherwise, between} from './otherwise.js';
import {Panel} from './panel.js';
import {Stage} from './stage.js';

// One of the two: a story with its map, its charts and what is told of a clip.
class Side {
  constructor(pair, D, j) {
    Object.assign(this, {pair, D, j, root: pair.root, clock: pair.clock});
    this.story = new Story(D);
    this.link = {clip: i => pair.link.clip(i, j)};
    this.number = new Map(D.classes.map((c, k) => [c.name, k]));
    this.map = new GroundMap(this);
    this.hand = new Hand(this.map);
    this.charts = new Charts(this);
    this.panel = new Panel(this);
    const name = h('h3', {}, text(D.name));
    this.what = small();
    const label = {role: 'group', 'aria-label': D.name};
    const head = h('div', {class: 'named'}, name, this.what);
    this.element = h('div', {class: 'one', ...label}, head, pair.ground(this.map));
    this.below = h('div', {class: 'side'}, this.panel.element, this.charts.element);
  }

  get chosen() {
    return this.pair.chosen;
  }

  get round() {
    return Math.min(this.clock.round, this.story.end);
  }

  // Filters are those of both.
  get list() {
    const {pair} = this;
    const only = this.number.get(pair.only) ?? null;
    const list = {only, sieve: () => pair.sieve()};
    const set = v => {
      pair.picked = v;
    };
    return Object.defineProperty(list, 'picked', {set});
  }

  // Which clips, what was learnt, how right.
  head() {
    const {story, round} = this;
    const shots = story.shot.reduce((n, _, i) => n + story.isShot(i), 0);
    const right = story.rounds.length ? story.uar(round) : null;
    const uar = right == null ? '' : `, UAR ${pct(right)}`;
    this.what.textContent = ` round ${round} of ${story.end}, ${shots} shots${uar}`;
  }

  verdict(i) {
    const right = this.story.right(i);
    if (right == null) return ['– ', 'count'];
    return right ? ['✓ ', 'yes'] : ['✗ ', 'no'];
  }

  say = (of, what) => this.pair.say(of == 'ground' ? `${of}${this.j}` : of, what);
  pick = (rows, what) => this.pair.pick(rows, what);
  choose = (i, sound) => this.pair.choose(i, sound, this);
  close = () => this.pair.close();
  go = (r, keep) => this.pair.go(r, keep);
  play = () => this.pair.play();
  hearOrPause = () => this.pair.hearOrPause(this);
  hovered = i => this.pair.hovered(i, this);
  beside = map => this.pair.beside(map, this);
}

export class Pair extends Stage {
  constructor(root, both, link) {
    super(root);
    Object.assign(this, {link, both, only: null, picked: null, over: null, find: ''});
    this.sides = both.sides.map((D, j) => new Side(this, D, j));
    const [left, right] = this.sides;
    this.stories = this.sides.map(o => o.story);
    this.maps = this.sides.map(o => o.map);
    this.plots = this.sides.map(o => o.charts);
    left.map.twin = right.map;
    right.map.twin = left.map;
    if (both.common) right.map.zoom = left.map.zoom; // one ground: one view of it
    this.names = [...new Set(both.sides.flatMap(D => D.classes.map(c => c.name)))];
    this.otherwise = new Otherwise(this);
    this.open(this.build());
    this.rest();
    const one = e => root.querySelectorAll('audio').forEach(o => o != e && o.pause());
    root.addEventListener('play', e => one(e.target), true);
  }

  build() {
    const {otherwise, both} = this;
    const judging = this.judges();
    judging.hidden = !this.stories[0].revealed;
    const search = h('input', {
      ...{type: 'search', placeholder: 'find a clip', 'aria-label': 'find a clip'},
      oninput: e => {
        this.find = e.target.value.toLowerCase();
        this.filter();
      },
    });
    const rope = this.rope(this.sides.map(o => o.hand));
    const tools = [...this.looks(both.layouts), rope, judging, search];
    const own = 'Each map has a ground of its own: places cannot be compared.';
    return h(
      'div',
      {class: 'app pair'},
      h('div', {class: 'tools'}, ...tools),
      this.chips(),
      this.times(),
      h('div', {class: 'both'}, ...this.sides.map(o => o.element)),
      both.common ? null : h('p', {class: 'note'}, own),
      this.legend(),
      otherwise.moves,
      otherwise.basket,
      h('div', {class: 'both'}, ...this.sides.map(o => o.below)),
      otherwise.element,
    );
  }

  chips() {
    const {sides} = this;
    const look = name => {
      const side = sides.find(o => o.number.has(name));
      return side.D.classes[side.number.get(name)];
    };
    this.chip = this.names.map(name => {
      const press = () => {
        this.only = this.only == name ? null : name;
        this.filter();
      };
      const props = {'aria-pressed': 'false', onclick: press};
      return h('button', props, tag(look(name)), h('span', {class: 'count'}));
    });
    const group = {role: 'group', 'aria-label': 'show one emotion, of either map'};
    return h('div', {class: 'tools chips', ...group}, ...this.chip);
  }

  // ---- clips ----

  called(i) {
    return this.stories.map(o => o.name(i));
  }

  passes(i) {
    if (this.picked && !this.picked.has(i)) return false;
    if (!this.find) return true;
    const {D} = this.sides[0];
    const texts = [D.path[i], D.speaker?.[i], D.language?.[i], ...this.called(i)];
    return texts.some(o => o?.toLowerCase().includes(this.find));
  }

  // What filters leave is in sight on both maps.
  sieve() {
    const {N} = this.stories[0];
    const n = new Map(this.names.map(name => [name, [0, 0]]));
    for (let i = 0; i < N; i++) {
      const ok = this.passes(i);
      const called = this.called(i);
      called.forEach((name, j) => (n.get(name)[j] += ok));
      const seen = ok && (this.only == null || called.includes(this.only));
      this.maps.forEach(o => (o.seen[i] = seen));
    }
    this.chip.forEach((b, k) => {
      const name = this.names[k];
      b.setAttribute('aria-pressed', String(this.only == name));
      b.className = this.only == null || this.only == name ? '' : 'off';
      const [before, after] = n.get(name);
      b.lastChild.textContent = before == after ? before : `${before} → ${after}`;
    });
  }

  filter() {
    if (!this.stories.every(o => o.rounds.length)) return;
    this.sieve();
    this.otherwise.draw(between(...this.stories));
    this.maps.forEach(o => o.redraw());
  }

  pick(rows, what) {
    this.picked = rows?.length ? new Set(rows) : null;
    this.otherwise.pick(rows, what);
    this.link.lasso?.(rows ?? []);
    if (!rows?.length) this.sides.forEach(o => o.hand.loose());
    this.filter();
  }

  // A clip, in both; its sound from the side where it was chosen.
  choose(i, sound = false, side = this.sides[0]) {
    this.chosen = i;
    const [a, b] = this.stories.map(o => `${o.name(i)} ${how(o, i)}`);
    this.say('chosen', `${this.sides[0].D.path[i]}: ${a} → ${b}`);
    this.link.chose?.(i);
    this.otherwise.mark();
    this.maps.forEach(o => o.redraw());
    return Promise.all(this.sides.map(o => o.panel.show(i, sound && o == side)));
  }

  close() {
    this.chosen = null;
    this.say('chosen');
    this.link.chose?.(-1);
    this.rest();
    this.otherwise.mark();
    this.maps.forEach(o => o.redraw());
  }

  rest() {
    this.sides.forEach(o => o.panel.close());
  }

  hearOrPause(side) {
    if (this.chosen == null) return;
    if (this.sides.some(o => o.panel.player && !o.panel.player.paused)) {
      this.sides.forEach(o => o.panel.player?.pause());
    } else if (!side.panel.hearOrPause()) this.choose(this.chosen, true, side);
  }

  // A clip under the pointer is pointed at on the other map, too.
  hovered(i, side) {
    const other = this.sides.find(o => o != side);
    const {px} = other.map;
    other.hand.tell(i, px[2 * i], px[2 * i + 1]);
    if (this.over == i) return;
    this.over = i;
    this.maps.forEach(o => o.redraw());
  }

  // Rings around what is called otherwise; on a common ground the second map shows
  // the way from the place on the first.
  beside(map, side) {
    const {ctx, px, seen} = map;
    const {stories, both} = this;
    if (this.over != null) map.ring(this.over, map.size + 4, 2);
    if (stories[0].N > MOST) return;
    const from = this.maps[0].px;
    ctx.strokeStyle = ctx.fillStyle = map.stamps.ink;
    for (let i = 0; i < stories[0].N; i++) {
      const [a, b] = this.called(i);
      if (!seen[i] || a == b) continue;
      map.ring(i, map.size + 3, 1.1);
      if (!both.common || !side.j) continue;
      ctx.globalAlpha = 0.55;
      ctx.beginPath();
      ctx.moveTo(from[2 * i], from[2 * i + 1]);
      ctx.lineTo(px[2 * i], px[2 * i + 1]);
      ctx.stroke();
      ctx.globalAlpha = 1;
    }
  }

  // How far a clip stands from its place on the first map, in parts of the map.
  moved(i) {
    const {kind} = this.maps[0];
    if (!this.both.common || !kind || kind != this.maps[1].kind) return null;
    const [p, q] = this.stories.map(o => o.now.xy[kind]);
    return Math.hypot(p[2 * i] - q[2 * i], p[2 * i + 1] - q[2 * i + 1]) / 65535;
  }

  // ---- what page and widget tell ----

  settled() {
    this.filter();
    this.again();
    this.link.round?.(this.clock.round);
  }

  again() {
    this.sides.forEach(o => {
      o.head();
      o.panel.again();
    });
  }

  // Rounds from `first` on, of one side.
  add(j, list, first = 0) {
    const {clock, rounds: had} = this;
    const side = this.sides[j];
    list.forEach((o, r) => side.story.add(first + r, o));
    const on = had && first;
    this.ended(on ? clock.goal : Infinity);
    if (on && clock.end > clock.goal) this.follow();
  }

  cut(j, n) {
    const {rounds} = this.stories[j];
    rounds.length = Math.min(rounds.length, n);
    this.ended(this.clock.time);
  }

  // Another number of rounds; the round on show is one that there is.
  ended(r) {
    this.clock.end = Math.max(...this.stories.map(o => o.end));
    this.maps.forEach(o => o.ground());
    this.jump(r);
    this.filter();
    this.again();
  }

  shots(j, b) {
    this.stories[j].setShots(b);
    this.filter();
    this.again();
    this.timeline();
  }

  get kind() {
    return this.maps[0].kind;
  }
}

export const how = (story, i) => (story.isShot(i) ? 'a shot' : pct(story.best(i)));
