// Clips that were picked together: by the lasso, by filters, or as those that changed.
import {h, select, small} from './dom.js';

// Text of a CSV cell.
export const cell = v =>
  /[",\r\n]/.test(String(v)) ? `"${String(v).replaceAll('"', '""')}"` : String(v ?? '');

// A sheet of `columns` {name: row => value}; those without a value are left out.
export function sheet(columns, rows) {
  const used = Object.entries(columns).filter(([, get]) => get);
  const lines = rows.map(i => used.map(([, get]) => cell(get(i))).join(','));
  return [used.map(([k]) => cell(k)).join(','), ...lines, ''].join('\n');
}

export const about = D => ({
  path: i => D.path[i],
  language: D.language && (i => D.language[i]),
  speaker: D.speaker && (i => D.speaker[i]),
});

export function csv(story, rows) {
  const emotion = i => story.name(i);
  const confidence = i => story.best(i).toFixed(4);
  return sheet({...about(story.D), emotion, confidence}, rows);
}

// Who turned from what to what, the most first.
export function moves(before, after) {
  const all = new Map();
  after.forEach((k, i) => {
    if (k == before[i]) return;
    const key = `${before[i]} ${k}`;
    if (!all.has(key)) all.set(key, {from: before[i], to: k, rows: []});
    all.get(key).rows.push(i);
  });
  return [...all.values()].sort((a, b) => b.rows.length - a.rows.length);
}

export class Basket {
  constructor(app) {
    this.app = app;
    this.rows = null;
    this.turn = 0; // another number: what was played in turn is over
    this.element = h('div', {class: 'row basket', hidden: ''});
    this.changes = h('div', {class: 'row changes', hidden: ''});
  }

  pick(rows, what) {
    this.turn++;
    this.rows = rows?.length ? rows : null;
    this.element.hidden = !this.rows;
    this.app.link.lasso?.(rows ?? []);
    if (!this.rows) return this.app.say('basket', rows ? `no ${what}` : '');
    this.app.say('basket', `${rows.length} ${what}`);
    const button = (face, act, title) => h('button', {onclick: act, title}, face);
    this.element.replaceChildren(
      small(`${rows.length} ${what}: `),
      button('▶ play in turn', () => this.play(), 'one after the other'),
      button('⤓ list', () => this.save(), 'as a CSV file'),
      ...(this.app.link.live ? this.teaching() : []),
      button('✕', () => this.app.pick(null), 'all clips again'),
    );
    this.element.lastChild.setAttribute('aria-label', 'all clips again');
  }

  teaching() {
    const {app} = this;
    const names = app.D.classes.map(c => [c.name, c.name]);
    const first = app.story.name(this.rows[0]);
    const pick = select('their emotion', names, first, () => {});
    const teach = () =>
      app.link.send({do: 'teach', row: this.rows, emotion: pick.value});
    const props = {class: 'teachit', disabled: app.controls.running || null};
    return [pick, h('button', {...props, onclick: teach}, 'teach all')];
  }

  // Each is chosen and heard to its end; another choice ends it.
  async play() {
    const mine = ++this.turn;
    for (const i of this.rows) {
      await this.app.choose(i, true, true);
      const {player} = this.app.panel;
      if (player) {
        await new Promise(done => {
          player.addEventListener('ended', done, {once: true});
          player.addEventListener('pause', done, {once: true});
          player.addEventListener('error', done, {once: true});
        });
      }
      if (mine != this.turn || this.app.chosen != i) return;
    }
  }

  save() {
    const text = csv(this.app.story, this.rows);
    const href = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
    h('a', {href, download: 'clips.csv'}).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }

  // What is called something else since before a round: from what, to what.
  changed(before, after) {
    const {app} = this;
    const list = before ? moves(before, after) : [];
    this.changes.hidden = !list.length;
    const name = k => app.D.classes[k].name;
    const buttons = list.map(({from, to, rows}) => {
      const title = `${name(from)} → ${name(to)}`;
      const show = () => app.pick(rows, `clips, ${title}`);
      return h(
        'button',
        {onclick: show, title: 'show these'},
        `${title}: ${rows.length}`,
      );
    });
    this.changes.replaceChildren(
      small('called something else now (ringed):'),
      ...buttons,
    );
    return list.reduce((n, o) => n + o.rows.length, 0);
  }
}
