// Two maps in a notebook: the kernel tells rounds of either side as they come.
import {Link, follow, same, shown} from './link.js';
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

  seek() {
    const {pair} = this;
    if (!pair.clock.playing) follow(this.model, 'round', pair.round, r => pair.go(r));
  }
}

const render = shown(Live, live => [
  ['change:round', () => live.seek()],
  ['change:clip', () => follow(live.model, 'clip', live.pair.chosen, i => live.pair.choose(i))],
]);

export default {render};
