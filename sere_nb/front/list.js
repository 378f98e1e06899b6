// Finding clips: filters hide them on the map and in the table.
import {fixed, pct} from './data.js';
import {h, rowKey, select, tag, text} from './dom.js';

const MEANING = {
  confidence: 'probability of the emotion that was chosen',
  resonance: "cosine between the clip and the emotion's prototype, from -1 to 1",
  since: 'the first round from which on it is called so',
  label: 'what the manifest says; nothing has learnt from it',
};
const LOOK = {
  since: 'num since',
  confidence: 'num',
  resonance: 'num res',
  speaker: 'short',
  language: 'short',
};
const FALLING = ['confidence', 'resonance', 'since']; // the largest first
const collator = new Intl.Collator(undefined, {numeric: true});

// Values that can be chosen from; null if there is nothing to choose, or too much.
export function distinct(values, most) {
  const all = [...new Set(values ?? [])].filter(v => v).sort();
  return all.length > 1 && all.length <= most ? all : null;
}

// Positions in order; numbers by size, texts as people sort them, ties as they came.
export function sorted(keys, down) {
  const compare = (a, b) =>
    typeof keys[a] == 'number' ? keys[a] - keys[b] : collator.compare(keys[a], keys[b]);
  return [...keys.keys()].sort((a, b) => (down ? -1 : 1) * compare(a, b) || a - b);
}

export class List {
  constructor(app) {
    const {D, story} = app;
    this.app = app;
    this.only = null; // the one emotion on show
    this.picked = null; // the clips that were picked together
    const kind = story.target.some(o => o) ? 'target' : 'free';
    this.view = {
      by: 'confidence',
      down: true,
      answer: 'all',
      find: '',
      most: 200,
      kind,
    };
    Object.assign(this.view, {language: '', speaker: '', sure: 0});
    this.found = h('span', {class: 'count', role: 'status'});
    this.head = h('thead');
    this.body = h('tbody', {onkeydown: e => this.key(e)});
    const all = () => {
      this.view.most = story.N;
      this.table();
    };
    this.more = h('button', {class: 'more', onclick: all});
    this.chip = D.classes.map((c, k) => this.button(c, k));
    const group = {role: 'group', 'aria-label': 'show one emotion'};
    this.chips = h('div', {class: 'tools chips', ...group}, ...this.chip);
    this.kinds = this.pickKinds();
    this.answer = this.pickAnswer();
    this.answer.hidden = !(story.label && story.revealed);
    this.element = h(
      'details',
      {class: 'list', open: app.link.live ? null : '', ontoggle: () => this.table()},
      h('summary', {}, 'Clip by clip'),
      h('div', {class: 'tools'}, this.kinds, this.found),
      h('div', {class: 'roll'}, h('table', {class: 'clips'}, this.head, this.body)),
      this.more,
    );
    this.filters = this.pickFilters();
  }

  button(c, k) {
    const press = () => {
      this.only = this.only == k ? null : k;
      this.app.filter();
    };
    const props = {'aria-pressed': 'false', onclick: press};
    return h('button', props, tag(c), h('span', {class: 'count'}));
  }

  pickKinds() {
    const target = this.app.story.target.some(o => o);
    const options = [
      ...(target ? [['target', 'clips of the target']] : []),
      ['free', 'clips without label'],
      ['shots', 'shots'],
      ['all', 'all clips'],
    ];
    const act = v => {
      this.view.kind = v;
      this.table();
    };
    return select('clips in the table', options, this.view.kind, act);
  }

  show(kind) {
    this.view.kind = this.kinds.value = kind;
  }

  set(name, value) {
    this.view[name] = value;
    this.app.filter();
  }

  pickAnswer() {
    const options = [
      ['all', 'right and wrong'],
      ['right', '✓ right only'],
      ['wrong', '✗ wrong only'],
    ];
    return select('right or wrong', options, 'all', v => this.set('answer', v));
  }

  pickFilters() {
    const {D} = this.app;
    const choice = (name, values) => {
      const options = [['', `all ${name}s`], ...values.map(o => [o, o])];
      return select(name, options, '', v => this.set(name, v));
    };
    const languages = distinct(D.language, 60);
    const speakers = distinct(D.speaker, 300);
    const told = h('output', {}, '0 %');
    const sure = e => {
      this.set('sure', +e.target.value);
      told.textContent = pct(this.view.sure);
    };
    const scale = {type: 'range', min: 0, max: 0.95, step: 0.05, value: 0};
    const least = h('input', {
      ...scale,
      'aria-label': 'lowest confidence',
      oninput: sure,
    });
    const title = 'what the lasso does, for all clips that the filters leave';
    return h(
      'details',
      {class: 'filters'},
      h('summary', {}, 'filters'),
      h(
        'div',
        {class: 'row'},
        languages ? choice('language', languages) : null,
        speakers ? choice('speaker', speakers) : null,
        this.answer,
        h('label', {}, 'confidence at least', least, told),
        h('button', {title, onclick: () => this.selectAll()}, 'select these'),
      ),
    );
  }

  search() {
    return h('input', {
      type: 'search',
      placeholder: 'find a clip',
      'aria-label': 'find a clip',
      oninput: e => this.set('find', e.target.value),
    });
  }

  selectAll() {
    const {seen} = this.app.map;
    const rows = [...seen.keys()].filter(i => seen[i]);
    this.app.pick(rows, 'clips selected');
  }

  // Does a clip pass all filters but that of its emotion?
  passes(i) {
    const {D, story} = this.app;
    const {view} = this;
    if (view.language && D.language[i] != view.language) return false;
    if (view.speaker && D.speaker[i] != view.speaker) return false;
    if (view.sure && story.best(i) < view.sure) return false;
    if (view.answer != 'all' && story.right(i) !== (view.answer == 'right'))
      return false;
    if (this.picked && !this.picked.has(i)) return false;
    const find = view.find.toLowerCase();
    if (!find) return true;
    const label = story.revealed ? story.label?.[i] : null;
    const texts = [D.path[i], D.speaker?.[i], D.language?.[i], label, story.name(i)];
    return texts.some(o => o?.toLowerCase().includes(find));
  }

  sieve() {
    const {story, map} = this.app;
    const n = new Uint32Array(story.K);
    for (let i = 0; i < story.N; i++) {
      const ok = this.passes(i);
      const k = story.emotion(i);
      n[k] += ok;
      map.seen[i] = ok && (this.only == null || k == this.only);
    }
    this.chip.forEach((b, k) => {
      b.setAttribute('aria-pressed', String(this.only == k));
      b.className = this.only == null || this.only == k ? '' : 'off';
      b.lastChild.textContent = n[k];
    });
  }

  // Columns, and what each is sorted by.
  columns() {
    const {D, story, map} = this.app;
    const all = {
      '': null,
      clip: i => D.path[i],
      language: i => D.language[i],
      speaker: i => D.speaker[i],
      emotion: i => story.name(i),
      confidence: i => story.best(i),
      resonance: i => story.resonance(i, story.emotion(i)),
      since: i => story.now.since[i],
      label: i => story.label[i],
    };
    if (map.languages.length < 2) delete all.language;
    if (!D.speaker) delete all.speaker;
    if (!story.label || !story.revealed) delete all.label;
    return Object.entries(all);
  }

  cell(column, i) {
    const {app} = this;
    const {D, story, link} = app;
    if (column == '') return (link.sounds?.(i) ?? true) ? this.play(i) : '';
    if (column == 'clip') return this.open(D.path[i]);
    if (column == 'emotion') return tag(D.classes[story.emotion(i)]);
    if (column == 'confidence') return this.confidence(i);
    if (column == 'resonance') return fixed(story.resonance(i, story.emotion(i)));
    if (column == 'since') return story.isShot(i) ? '' : story.now.since[i];
    if (column != 'label') return text(D[column][i]);
    if (!story.label[i] || story.isShot(i)) return '';
    const [mark, look] = app.verdict(i);
    return h('span', {class: look + ' tag'}, mark, text(story.label[i]));
  }

  play(i) {
    const press = e => {
      e.stopPropagation();
      this.app.choose(i, true);
    };
    const props = {class: 'play', tabindex: -1, 'aria-label': 'play', onclick: press};
    return h('button', props, '▶');
  }

  // A long path may break after its parts.
  open(path) {
    const parts = path.split(/(?<=[/_-])/).flatMap(o => [o, h('wbr')]);
    return h('button', {class: 'open'}, h('bdi', {}, ...parts));
  }

  confidence(i) {
    const {story} = this.app;
    if (story.isShot(i)) return 'shot';
    const p = h('i');
    p.style.width = `${100 * story.best(i)}%`;
    return h('span', {}, pct(story.best(i)), h('span', {class: 'bar'}, p));
  }

  // Rows that are listed, in order.
  rows() {
    const {story, map} = this.app;
    const {view} = this;
    const is = {
      target: i => story.target[i] && !story.isShot(i),
      free: i => !story.isShot(i),
      shots: i => story.isShot(i),
      all: () => true,
    }[view.kind];
    const columns = new Map(this.columns());
    const get = columns.get(view.by) ?? columns.get('clip');
    const rows = [...Array(story.N).keys()].filter(i => map.seen[i] && is(i));
    return sorted(rows.map(get), view.down).map(a => rows[a]);
  }

  table() {
    const {story, chosen} = this.app;
    const {view} = this;
    if (!this.element.open || !story.rounds.length) return;
    const rows = this.rows();
    const columns = this.columns().map(([c]) => c);
    this.body.replaceChildren(
      ...rows.slice(0, view.most).map(i => {
        const look = {'data-i': i, 'aria-selected': String(i == chosen)};
        const cells = columns.map(c => h('td', {class: LOOK[c]}, this.cell(c, i)));
        return h('tr', {...look, onclick: () => this.app.choose(i)}, ...cells);
      }),
    );
    this.head.replaceChildren(h('tr', {}, ...columns.map(c => this.title(c))));
    const {N} = story;
    this.found.textContent =
      rows.length == N ? `${N} clips` : `${rows.length} of ${N} clips`;
    this.more.hidden = rows.length <= view.most;
    this.more.textContent = `show all ${rows.length}`;
  }

  title(c) {
    const {view} = this;
    if (!c) return h('td', {});
    const here = c == view.by;
    const turn = () => {
      view.down = here ? !view.down : FALLING.includes(c);
      view.by = c;
      this.table();
      this.head.querySelector(`[data-c=${c}] button`).focus();
    };
    const arrow = here ? (view.down ? ' ↓' : ' ↑') : '';
    const order = here ? (view.down ? 'descending' : 'ascending') : 'none';
    const props = {scope: 'col', 'data-c': c, title: MEANING[c], class: LOOK[c]};
    const button = h(
      'button',
      {onclick: turn},
      c,
      h('span', {'aria-hidden': 'true'}, arrow),
    );
    return h('th', {...props, 'aria-sort': order}, button);
  }

  // Which row is that of the chosen clip?
  mark() {
    const at = o => this.body.querySelector(o);
    at('tr[aria-selected=true]')?.setAttribute('aria-selected', 'false');
    at(`tr[data-i="${this.app.chosen}"]`)?.setAttribute('aria-selected', 'true');
  }

  key(e) {
    const {app} = this;
    rowKey(e, {
      choose: i => app.choose(i),
      play: i => {
        if (app.chosen != i || !app.panel.hearOrPause()) app.choose(i, true);
      },
      close: () => app.close(),
    });
  }
}
