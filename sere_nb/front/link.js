// How a widget speaks with its kernel: traits are its state, messages its wishes.

// How many of the rounds that were told are still the same?
export function same(story, told) {
  let n = 0;
  while (n < story.length && n < told.length && story[n].v == told[n]) n++;
  return n;
}

export class Link {
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

  // A clip's field, and its sound the first time; of two maps, on which `side`.
  clip(row, side = 0) {
    return new Promise(done => {
      const id = `${this.me}-${++this.n}`;
      this.asked.set(id, done);
      this.send({do: 'clip', row, id, side, sound: !this.mp3.has(row)});
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

// A round or a clip that was asked for elsewhere.
export function follow(model, name, current, act) {
  const v = model.get(name);
  if (v >= 0 && v != current) act(v);
}

// What a notebook calls to show a widget; `events` gives what else it listens to.
export function shown(Live, events) {
  return ({model, el}) => {
    const root = document.createElement('div');
    root.className = 'sere';
    el.append(root);
    const live = new Live(model, root);
    const all = [
      ['msg:custom', (o, buffers) => live.link.hear(o, buffers)],
      ['change:_now', () => live.sync()],
      ...events(live),
    ];
    all.forEach(o => model.on(...o));
    live.sync();
    return () => all.forEach(o => model.off(...o));
  };
}
