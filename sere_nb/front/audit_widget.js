// An audit in a notebook: what is said goes to the kernel, clips come from there.
import {Audit} from './audit.js';
import {h} from './dom.js';

const PATIENCE = 4000; // ms until a reader is told that the kernel does not answer
const LATE =
  'The kernel does not answer yet: perhaps another cell is running. ' +
  'If the kernel was started anew, run the cell again: no label is lost.';

// Questions to the kernel, and its answers, which carry the number of the question.
export class Kernel {
  constructor(model, late, patience = PATIENCE) {
    Object.assign(this, {model, late, patience, lost: LATE, n: 0, url: ''});
    this.me = Math.random().toString(36).slice(2);
    this.asked = new Map();
  }

  ask(o) {
    return new Promise(done => {
      const id = `${this.me}-${++this.n}`;
      const timer = setTimeout(() => this.late(true), this.patience);
      this.asked.set(id, {done, timer});
      this.model.send({...o, id});
    });
  }

  hear(o, buffers) {
    const asked = this.asked.get(o.id); // none where another view has asked
    if (!asked) return;
    clearTimeout(asked.timer);
    this.asked.delete(o.id);
    this.late(false);
    asked.done({...o, buffers});
  }

  state() {
    return this.model.get('_state');
  }

  async label(clip, emotion) {
    const {error, state} = await this.ask({do: 'label', clip, emotion});
    return error ? {error} : state;
  }

  // An address of the clip's sound; '' if it cannot be had.
  async sound(clip) {
    const {error, buffers} = await this.ask({do: 'sound', clip});
    URL.revokeObjectURL(this.url);
    this.url = error ? '' : URL.createObjectURL(new Blob(buffers, {type: 'audio/wav'}));
    return this.url;
  }

  end() {
    return this.ask({do: 'end'});
  }

  close() {
    for (const {timer} of this.asked.values()) clearTimeout(timer);
    this.asked.clear();
    URL.revokeObjectURL(this.url);
  }
}

// What does not reach the notebook from here, where `b` makes a cell and `x` cuts one.
export function ours({key, ctrlKey, metaKey, altKey, shiftKey}) {
  if (ctrlKey || metaKey || altKey) return false;
  return key.length == 1 || key.startsWith('Arrow') || (key == 'Enter' && !shiftKey);
}

function render({model, el}) {
  const root = h('div', {class: 'sere-audit', role: 'group', tabindex: -1});
  root.setAttribute('aria-label', 'audit');
  el.append(root);
  const kernel = new Kernel(model, late => {
    const {note} = audit;
    if (late) note.textContent = LATE;
    else if (note.textContent == LATE) note.textContent = '';
  });
  const audit = new Audit(root, kernel, root);
  root.addEventListener('keydown', e => ours(e) && e.stopPropagation());
  const all = [
    ['msg:custom', (o, buffers) => kernel.hear(o, buffers)],
    ['change:_state', () => audit.begun || audit.load()],
  ];
  all.forEach(o => model.on(...o));
  return () => {
    all.forEach(o => model.off(...o));
    audit.sound.pause();
    kernel.close();
  };
}

export default {render};
