// What two stories call otherwise: from what to what, and clip by clip.
import {about, moves, sheet} from './basket.js';
import {pct} from './data.js';
import {h, rowKey, small, tag, text} from './dom.js';

const LISTED = 200;

// Emotions are compared by name, since two may number them differently.
export function between(a, b) {
  const names = [...new Set([a, b].flatMap(o => o.D.classes.map(c => c.name)))];
  const named = o => {
    const number = o.D.classes.map(c => names.indexOf(c.name));
    return Array.from(o.now.e, k => number[k]);
  };
  return moves(named(a), named(b)).map(({from, to, rows}) => ({
    ...{from: names[from], to: names[to], rows},
  }));
}

export class Otherwise {
  constructor(pair) {
    this.pair = pair;
    this.found = [];
    this.rows = null; // clips that were picked together
    this.turn = 0;
    this.moves = h('div', {class: 'row changes', role: 'group', 'aria-label': 'moves'});
    this.basket = h('div', {class: 'row basket', hidden: ''});
    this.count = h('span', {class: 'count', role: 'status'});
    this.body = h('tbody', {onkeydown: e => this.key(e)});
    const names = pair.both.sides.map(D => D.name);
    const scope = {scope: 'col'};
    const heads = ['', 'clip', ...names].map(o => h('th', scope, text(o)));
    const moved = pair.both.common ? h('th', {class: 'num', ...scope}, 'moved') : null;
    const head = h('tr', {}, ...heads, moved);
    const table = h('table', {class: 'clips'}, h('thead', {}, head), this.body);
    this.element = h(
      'details',
      {class: 'list', open: pair.link.live ? null : '', ontoggle: () => this.table()},
      h('summary', {}, 'Called otherwise, clip by clip'),
      this.count,
      h('div', {class: 'roll'}, table),
    );
  }

  draw(found) {
    this.found = found;
    const {N} = this.pair.stories[0];
    const n = found.reduce((sum, o) => sum + o.rows.length, 0);
    const told = n
      ? `${n} of ${N} clips are called otherwise (ringed):`
      : `All ${N} clips are called the same.`;
    const buttons = found.map(({from, to, rows}) => {
      const title = `${from} → ${to}`;
      const show = () => this.pair.pick(rows, `clips, ${title}`);
      const said = `${title}: ${rows.length}`;
      return h('button', {onclick: show, title: 'show these'}, said);
    });
    const all = () =>
      this.pair.pick(
        found.flatMap(o => o.rows),
        'clips called otherwise',
      );
    const every = h('button', {onclick: all, title: 'show these'}, `all ${n}`);
    const held = [...this.moves.children].indexOf(document.activeElement);
    this.moves.replaceChildren(small(told), ...buttons, ...(n ? [every] : []));
    if (held >= 0) this.moves.children[held]?.focus();
    this.table();
  }

  pick(rows, what) {
    const {pair} = this;
    this.turn++;
    this.rows = rows?.length ? rows : null;
    this.basket.hidden = !this.rows;
    if (!this.rows) return pair.say('basket', rows ? `no ${what}` : '');
    pair.say('basket', `${rows.length} ${what}`);
    const button = (face, act, title) => h('button', {onclick: act, title}, face);
    this.basket.replaceChildren(
      small(`${rows.length} ${what}: `),
      button('▶ play in turn', () => this.play(), 'one after the other'),
      button('⤓ list', () => this.save(), 'as a CSV file'),
      button('✕', () => pair.pick(null), 'all clips again'),
    );
    this.basket.lastChild.setAttribute('aria-label', 'all clips again');
  }

  // Each is chosen and heard to its end; another choice ends it.
  async play() {
    const {pair, rows} = this;
    const mine = ++this.turn;
    for (const i of rows) {
      await pair.choose(i, true);
      const {player} = pair.sides[0].panel;
      if (player) {
        await new Promise(done => {
          const hear = o => player.addEventListener(o, done, {once: true});
          ['ended', 'pause', 'error'].forEach(hear);
        });
      }
      if (mine != this.turn || pair.chosen != i) return;
    }
  }

  save() {
    const list = beside(this.pair.stories, this.rows);
    const href = URL.createObjectURL(new Blob([list], {type: 'text/csv'}));
    h('a', {href, download: 'clips.csv'}).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }

  // What is listed: the clips picked together, or all that are called otherwise.
  listed() {
    const {seen} = this.pair.maps[0];
    const rows = this.rows ?? this.found.flatMap(o => o.rows);
    return rows.filter(i => seen[i]);
  }

  table() {
    const {pair} = this;
    if (!this.element.open || !pair.stories.every(o => o.rounds.length)) return;
    const rows = this.listed();
    const few = rows.slice(0, LISTED);
    const more = rows.length > few.length ? `, the first ${few.length} listed` : '';
    this.count.textContent = `${rows.length} clips${more}`;
    this.body.replaceChildren(...few.map(i => this.row(i)));
  }

  row(i) {
    const {pair} = this;
    const [first] = pair.sides;
    const press = e => {
      e.stopPropagation();
      pair.choose(i, true);
    };
    const play = {class: 'play', tabindex: -1, 'aria-label': 'play', onclick: press};
    const heard = pair.link.sounds?.(i) ?? true;
    const parts = first.D.path[i].split(/(?<=[/_-])/).flatMap(o => [o, h('wbr')]);
    const called = ({D, story}) =>
      h(
        'td',
        {},
        tag(D.classes[story.emotion(i)]),
        ` ${story.isShot(i) ? 'shot' : pct(story.best(i))}`,
      );
    const moved = pair.moved(i);
    const look = {'data-i': i, 'aria-selected': String(i == pair.chosen)};
    return h(
      'tr',
      {...look, onclick: () => pair.choose(i)},
      h('td', {}, heard ? h('button', play, '▶') : ''),
      h('td', {}, h('button', {class: 'open'}, h('bdi', {}, ...parts))),
      ...pair.sides.map(called),
      moved == null ? null : h('td', {class: 'num'}, pct(moved)),
    );
  }

  mark() {
    const {chosen} = this.pair;
    for (const o of this.body.children)
      o.setAttribute('aria-selected', String(+o.dataset.i === chosen));
  }

  key(e) {
    const {pair} = this;
    rowKey(e, {
      choose: i => pair.choose(i),
      play: i =>
        pair.chosen == i ? pair.hearOrPause(pair.sides[0]) : pair.choose(i, true),
      close: () => pair.close(),
    });
  }
}

// Clips as both call them, as CSV; the columns bear the names of the two.
export function beside(stories, rows) {
  const called = stories.flatMap(o => [
    [`emotion (${o.D.name})`, i => o.name(i)],
    [`confidence (${o.D.name})`, i => o.best(i).toFixed(4)],
  ]);
  return sheet({...about(stories[0].D), ...Object.fromEntries(called)}, rows);
}
