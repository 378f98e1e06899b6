// All together: an element to live in, what `page_data` gives, and a link to sounds.
import {Basket} from './basket.js';
import {Charts} from './chart.js';
import {Story} from './data.js';
import {h} from './dom.js';
import {Hand} from './hand.js';
import {List} from './list.js';
import {Controls} from './live.js';
import {GroundMap} from './map.js';
import {Panel} from './panel.js';
import {Stage} from './stage.js';

export class App extends Stage {
  constructor(root, D, link) {
    super(root);
    Object.assign(this, {D, link});
    this.story = new Story(D);
    this.map = new GroundMap(this);
    this.hand = new Hand(this.map);
    this.list = new List(this);
    this.basket = new Basket(this);
    this.charts = new Charts(this);
    this.panel = new Panel(this);
    this.controls = link.live ? new Controls(this) : null;
    [this.stories, this.maps, this.plots] = [[this.story], [this.map], [this.charts]];
    const element = this.build();
    this.rest();
    this.open(element);
  }

  // ---- what is on the page ----

  build() {
    const {list} = this;
    const {element, changes} = this.basket;
    const map = this.ground(this.map);
    this.left = h('div', {}, this.times(), map, changes, element, this.legend());
    this.side = h('div', {class: 'side'}, this.panel.element);
    const split = h('div', {class: 'split'}, this.left, this.side);
    const fit = this.controls?.element;
    const top = [this.tools(), list.chips];
    return h('div', {class: 'app'}, fit, ...top, split, list.element);
  }

  tools() {
    const {list, D} = this;
    const judging = this.judges();
    judging.hidden = list.answer.hidden;
    const parts = [...this.looks(D.layouts), this.rope([this.hand]), judging];
    return h('div', {class: 'tools'}, ...parts, list.search(), list.filters);
  }

  verdict(i) {
    const right = this.story.right(i);
    if (right == null) return ['– ', 'count'];
    return right ? ['✓ ', 'yes'] : ['✗ ', 'no'];
  }

  // What follows when a round is on show.
  settled() {
    this.filter();
    this.again();
    this.link.round?.(this.clock.round);
  }

  again() {
    this.panel.again();
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
    this.again();
    this.timeline();
  }

  reveal(label) {
    if (this.story.revealed) return;
    this.story.reveal(label);
    this.list.answer.hidden = this.judging.hidden = false;
    this.judge(true);
    this.timeline();
    this.filter();
    this.again();
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

  get player() {
    return this.panel.player;
  }

  get kind() {
    return this.map.kind;
  }
}
