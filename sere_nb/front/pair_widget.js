// Two maps in a notebook: the kernel tells rounds of either side as they come.
import {Link, same} from './link.js';
import {Pair} from './pair.js';

class Live {
  constructor(model, root) {
    this.model = model;
    this.link = new Link(model);
    this.told = [[], []];
    this.shots = [0, 0];
    const both = model.get('_page');
    const now = model.get('_now');
    const sides = both.sides.map((D, j) => ({...D, shot: now.shot[j]}));
    this.shots = [...now.shots];
    this.pair = new Pair(root, {...both, sides}, this.link);
  }

  sync() {
    const {model, pair} = this;
    const now = model.get('_now');
    ['_story_a', '_story_b'].forEach((name, j) => {
      const story = model.get(name);
      const n = same(story, this.told[j]);
      if (now.shots[j] != this.shots[j]) {
        this.shots[j] = now.shots[j];
        pair.shots(j, now.shot[j]);
      }
      if (n < story.length) pair.add(j, story.slice(n), n);
      else if (n < this.told[j].length) pair.cut(j, n);
      this.told[j] = story.map(o => o.v);
    });
  }

  // A round or a clip that was asked for elsewhere.
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
  const {pair} = live;
  const seek = () => {
    if (!pair.clock.playing) live.follow('round', pair.round, r => pair.go(r));
  };
  const all = [
    ['msg:custom', (o, buffers) => live.link.hear(o, buffers)],
    ['change:_now', () => live.sync()],
    ['change:round', seek],
    ['change:clip', () => live.follow('clip', pair.chosen, i => pair.choose(i))],
  ];
  all.forEach(o => model.on(...o));
  live.sync();
  return () => all.forEach(o => model.off(...o));
}

export default {render};
