// In a notebook: state comes from the kernel as traits, wishes go there as messages.
import {App} from './app.js';

// How many of the rounds that were told are still the same?
export function same(story, told) {
  let n = 0;
  while (n < story.length && n < told.length && story[n].v == told[n]) n++;
  return n;
}

class Link {
  constructor(model) {
    this.model = model;
    this.live = true;
    this.me = Math.random().toString(36).slice(2);
    this.n = 0;
    this.asked = new Map();
    this.mp3 = new Map();
  }

  send(o) {
    this.model.send(o);
  }

  save(k, v) {
    const {model} = this;
    if (JSON.stringify(model.get(k)) == JSON.stringify(v)) return;
    model.set(k, v);
    model.save_changes();
  }

  chose(i) {
    this.save('clip', i);
  }

  round(r) {
    this.save('round', r);
  }

  lasso(rows) {
    this.save('selection', rows);
  }

  kind(kind) {
    this.send({do: 'kind', kind});
  }

  // A clip's field, and its sound the first time.
  clip(row) {
    return new Promise(done => {
      const id = `${this.me}-${++this.n}`;
      this.asked.set(id, done);
      this.send({do: 'clip', row, id, sound: !this.mp3.has(row)});
    });
  }

  hear(o, buffers) {
    if (o.say != 'clip' || !this.asked.has(o.id)) return;
    const data = {...o.data};
    for (const [k, j] of Object.entries(o.bytes)) data[k] = buffers[j];
    if (data.mp3) this.mp3.set(o.row, data.mp3);
    else data.mp3 = this.mp3.get(o.row);
    this.asked.get(o.id)(data);
    this.asked.delete(o.id);
  }
}

class Live {
  constructor(model, root) {
    this.model = model;
    this.link = new Link(model);
    this.told = [];
    this.shots = 0;
    this.changed = null;
    const D = {...model.get('_page'), shot: model.get('_now').shot};
    this.app = new App(root, D, this.link);
  }

  sync() {
    const {model, app} = this;
    const [story, now] = [model.get('_story'), model.get('_now')];
    const n = same(story, this.told);
    if (now.shots != this.shots) {
      this.shots = now.shots;
      app.shots(now.shot);
    }
    if (n < story.length) app.add(story.slice(n), n);
    else if (n < this.told.length) app.cut(n);
    this.told = story.map(o => o.v);
    if (now.label) app.reveal(now.label);
    if (now.changed != this.changed) {
      this.changed = now.changed;
      app.changed(now.changed);
    }
    app.tell(now);
  }

  // A round that was asked for elsewhere; while it plays here, it plays on.
  seek() {
    const {app} = this;
    if (!app.clock.playing) this.follow('round', app.round, r => app.go(r));
  }

  follow(name, current, act) {
    const v = this.model.get(name);
    if (v >= 0 && v != current) act(v);
  }
}

function render({model, el}) {
  const root = document.createElement('div');
  root.className = 'sere';
  el.append(root);
  const live = new Live(model, root);
  const {app} = live;
  const all = [
    ['msg:custom', (o, buffers) => live.link.hear(o, buffers)],
    ['change:_story', () => live.sync()],
    ['change:_now', () => live.sync()],
    ['change:round', () => live.seek()],
    ['change:clip', () => live.follow('clip', app.chosen, i => app.choose(i))],
  ];
  all.forEach(o => model.on(...o));
  live.sync();
  return () => all.forEach(o => model.off(...o));
}

export default {render};
