// In a notebook there is more: start, stop, go on; settings; teach and take back.
import {h, select} from './dom.js';

const BUTTONS = {
  start: ['↺ start anew', 'from the shots and what was taught since'],
  stop: ['■ stop', 'after this round'],
  go: ['▸ go on', 'two rounds more'],
  undo: ['↶ take back', 'what was taught last'],
  export: ['⤓ labels', 'write shots and taught labels as a manifest'],
  reveal: ['reveal labels', 'to compare with; nothing learns from them'],
};

export class Controls {
  constructor(app) {
    const {D, link, story} = app;
    this.app = app;
    this.running = false;
    this.status = h('span', {class: 'status', role: 'status'});
    this.buttons = {};
    for (const [id, [name, title]] of Object.entries(BUTTONS)) {
      if (id == 'reveal' && !story.label && !D.labelled) continue;
      this.buttons[id] = h('button', {onclick: () => link.send({do: id}), title}, name);
    }
    this.resets = [];
    const knobs = h('div', {class: 'knobs'}, ...D.knobs.map(o => this.knob(o)));
    const back = () => this.reset();
    const reset = h('button', {class: 'reset', onclick: back}, '↺ default settings');
    this.element = h(
      'div',
      {class: 'fit'},
      h('div', {class: 'row'}, ...Object.values(this.buttons), this.status),
      h(
        'details',
        {},
        h('summary', {}, 'settings of the rounds to come'),
        knobs,
        reset,
      ),
    );
  }

  knob(o) {
    const told = h('output', {}, o.value);
    const label = `${o.name}: ${o.what}`;
    const change = value => this.app.link.send({do: 'change', name: o.name, value});
    const input = o.options
      ? this.choice(o, label, told, change)
      : scale(o, label, told, change);
    this.resets.push(() => {
      input.value = o.first;
      told.textContent = o.first;
    });
    return h('label', {}, o.title, told, input, h('small', {}, o.what));
  }

  reset() {
    this.resets.forEach(act => act());
    this.app.link.send({do: 'reset'});
  }

  choice(o, label, told, change) {
    const options = o.options.map(v => [v, v]);
    return select(label, options, o.value, v => {
      told.textContent = v;
      change(v);
    });
  }

  teaching(i) {
    const {D, story, link} = this.app;
    const names = D.classes.map(c => [c.name, c.name]);
    const pick = select('its emotion', names, story.name(i), () => {});
    const teach = () => link.send({do: 'teach', row: i, emotion: pick.value});
    const props = {class: 'teachit', disabled: this.running || null, onclick: teach};
    const why = story.isShot(i) ? 'this is a shot:' : 'you know better?';
    const told = h('span', {class: 'count'}, why);
    return h('div', {class: 'row teach'}, told, pick, h('button', props, 'teach it'));
  }

  // What the kernel says of itself.
  tell(o) {
    this.running = o.running;
    this.status.textContent = o.text ?? '';
    const idle = !o.running;
    const on = {
      start: idle,
      stop: !idle,
      go: idle && o.begun,
      undo: idle && o.taught,
      export: true,
      reveal: !this.app.story.revealed,
    };
    for (const [id, b] of Object.entries(this.buttons)) b.disabled = !on[id];
    const teach = this.app.root.querySelectorAll('.teachit');
    teach.forEach(b => (b.disabled = o.running));
  }
}

function scale(o, label, told, change) {
  const {min, max, step, value} = o;
  return h('input', {
    ...{type: 'range', min, max, step, value, 'aria-label': label},
    oninput: e => (told.textContent = e.target.value),
    onchange: e => change(+e.target.value),
  });
}
