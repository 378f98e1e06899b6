// An audit: plays a clip, takes what was heard, goes on.
import {h} from './dom.js';

const CANNOT = '?';
const BACK = ['b', 'ArrowLeft'].map(o => [o, 'back']);
const ACTS = new Map([...BACK, ['r', 'again'], [' ', 'again']]);

// What a key says: {choose}, {act}, or nothing.
export function meaning(key, choices) {
  const said = choices.filter(o => o != CANNOT);
  if (/^[1-9]$/.test(key)) return key <= said.length ? {choose: said[key - 1]} : {};
  if (key == CANNOT || key == '0') return {choose: CANNOT};
  return ACTS.has(key) ? {act: ACTS.get(key)} : {};
}

// What is shown of a clip that has its label.
export function verdict({name, said, model}) {
  const heard = said == CANNOT ? 'nobody can tell' : said;
  const thought = `${model.emotion} (${Math.round(100 * model.p)} %)`;
  return `${name}. You: ${heard}. The model: ${thought}.`;
}

// `link` gives state and sounds and keeps what is said: it goes to a program on this
// machine, or to a kernel. Keys count where `keys` hears them.
export class Audit {
  constructor(root, link, keys) {
    Object.assign(this, {root, link, at: 0, begun: false, busy: false});
    this.sound = h('audio', {controls: true, 'aria-label': 'the clip'});
    this.sound.onerror = () => this.unheard();
    this.note = h('p', {class: 'note', role: 'status'});
    keys.addEventListener('keydown', e => this.key(e));
    this.load();
  }

  async load() {
    try {
      this.state = await this.link.state();
    } catch {
      return this.gone();
    }
    this.at = this.state.at;
    this.draw();
  }

  gone() {
    this.note.textContent = this.link.lost;
    this.root.replaceChildren(this.note);
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || !this.state) return;
    if (!this.begun && e.key == 'Enter') return this.begin();
    const inside = e.key == ' ' && e.target.closest?.('button,audio');
    const {choose, act} = meaning(e.key, this.state.choices);
    if (!this.begun || inside || !(choose || act)) return;
    e.preventDefault();
    if (choose) this.say(choose);
    else this[act]();
  }

  begin() {
    this.begun = true;
    this.draw();
    this.focus();
  }

  // The button that was pressed is gone, and keys would go to who knows what.
  focus() {
    this.root.focus({preventScroll: true});
  }

  again() {
    this.sound.currentTime = 0;
    this.sound.play().catch(() => {});
  }

  back() {
    if (!this.at) return;
    this.begun = true;
    this.at -= 1;
    this.draw();
  }

  async say(emotion) {
    const clip = this.at;
    if (this.busy || clip >= this.state.clips.length) return;
    this.busy = true;
    try {
      const told = await this.link.label(clip, emotion);
      if (told.error) this.note.textContent = `This was not kept: ${told.error}`;
      else {
        this.state = told;
        this.at = clip + 1;
        this.draw();
        this.note.textContent = verdict(told.clips[clip]);
      }
    } catch {
      this.gone();
    }
    this.busy = false;
  }

  draw() {
    const {clips, at} = this.state;
    const {activeElement: active, body} = document;
    const here = active == body || this.root.contains(active);
    this.sound.pause();
    this.note.textContent = '';
    const left = clips.filter(o => !o.said).length;
    if (this.at >= clips.length && left) this.at = at;
    const parts = !left && this.at >= clips.length ? this.end() : this.question(left);
    this.root.replaceChildren(...parts);
    if (this.begun && here) this.focus();
  }

  question(left) {
    const {clips, of} = this.state;
    if (!this.begun) return this.greeting(left, of);
    const bar = h('progress', {max: clips.length, value: clips.length - left});
    this.open();
    const where = h('p', {class: 'dim'}, `Clip ${this.at + 1} of ${clips.length}`);
    return [bar, where, this.sound, this.answers(), this.small(), this.note];
  }

  async open() {
    const clip = this.at;
    // till the new one is there, nobody hears the old one in its place
    this.sound.removeAttribute('src');
    this.sound.load();
    const src = await this.link.sound(clip);
    if (clip != this.at) return;
    if (!src) return this.unheard();
    this.sound.src = src;
    this.sound.play().catch(() => {});
  }

  unheard() {
    this.note.textContent = 'This clip cannot be played. Say that nobody can tell.';
  }

  greeting(left, of) {
    const n = this.state.clips.length;
    const all = left == n;
    const some = all ? `You will hear ${n} clips` : `${left} of ${n} clips are left`;
    const start = h('button', {class: 'main', onclick: () => this.begin()}, 'Start');
    return [
      h('p', {}, `${some}, of ${of}. Say what each sounds like to you.`),
      h('p', {class: 'dim'}, 'What the model thinks is shown when you have answered.'),
      start,
      this.note,
    ];
  }

  answers() {
    const said = this.state.clips[this.at].said;
    const names = this.state.choices.filter(o => o != CANNOT);
    const button = (o, key, text) =>
      h(
        'button',
        {onclick: () => this.say(o), 'aria-pressed': String(o == said)},
        h('kbd', {}, key),
        h('bdi', {}, text),
      );
    const all = names.map((o, i) => button(o, i < 9 ? String(i + 1) : '·', o));
    return h('div', {class: 'answers'}, ...all, button(CANNOT, CANNOT, 'cannot tell'));
  }

  small() {
    const back = {onclick: () => this.back(), ...(this.at ? {} : {disabled: ''})};
    return h(
      'p',
      {class: 'small'},
      h('button', back, h('kbd', {}, 'b'), 'back'),
      h('button', {onclick: () => this.again()}, h('kbd', {}, 'r'), 'again'),
    );
  }

  end() {
    const rows = this.state.lines.filter(o => Array.isArray(o));
    const words = this.state.lines.filter(o => !Array.isArray(o));
    const [head, ...rest] = rows.map((row, i) =>
      h('tr', {}, ...row.map(o => h(i ? 'td' : 'th', {}, o))),
    );
    const table = rows.length ? h('table', {}, h('thead', {}, head), ...rest) : null;
    const done = h('button', {class: 'main', onclick: () => this.finish()}, 'Finish');
    const back = h('button', {onclick: () => this.back()}, h('kbd', {}, 'b'), 'back');
    const first = words.slice(0, 1).map(o => h('p', {}, o));
    const later = words.slice(1).map(o => h('p', {class: 'dim'}, o));
    const box = h('div', {class: 'wide'}, ...(table ? [table] : []));
    return [...first, box, ...later, h('p', {class: 'small'}, done, back), this.note];
  }

  async finish() {
    const {error, text, over} = await this.link.end();
    this.note.textContent = error ? `This was not kept: ${error}` : text;
    if (over) this.root.replaceChildren(this.note);
  }
}
