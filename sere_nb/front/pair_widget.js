// Two maps in a notebook: the kernel tells rounds of either side as they come.
import {Link, follow, same, shown} from './link.js';
import {Pair} from './pair.js';

class Live {
  constructor(model, root) {
    Object.assign(this, {model, root});
    this.link = new Link(model);
    this.begin();
  }

  // The two as they are told; anew when their views, and so their ground, are others.
  begin() {
    const {model, root, link} = this;
    const both = (this.page = model.get('_page'));
    const now = model.get('_now');
    const sides = both.sides.map((D, j) => ({...D, shot: now.shot[j]}));
    this.told = [[], []];
    this.shots = [...now.shots];
    this.pair = new Pair(root, {...both, sides}, link);
  }

  sync() {
    const {model} = this;
    const now = model.get('_now');
    const before = this.pair;
    if (model.get('_page') != this.page) this.begin();
    const {pair} = this;
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
    if (pair != before) this.resume(before);
  }

  // What was chosen and picked stays so.
  resume({chosen, otherwise: {rows}}) {
    if (rows) this.pair.pick(rows, 'clips');
    if (chosen != null) this.pair.choose(chosen);
  }

  seek() {
    const {pair} = this;
    if (!pair.clock.playing) follow(this.model, 'round', pair.round, r => pair.go(r));
  }
}

const render = shown(Live, live => {
  const {model} = live;
  const clip = () =>
    follow(model, 'clip', live.pair.chosen, i => live.pair.choose(i));
  return [
    ['change:round', () => live.seek()],
    ['change:clip', clip],
  ];
});

export default {render};
