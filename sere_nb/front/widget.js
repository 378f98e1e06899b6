// In a notebook: state comes from the kernel as traits, wishes go there as messages.
import {App} from './app.js';
import {Link, follow, same, shown} from './link.js';

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
    if (!app.clock.playing) follow(this.model, 'round', app.round, r => app.go(r));
  }
}

const render = shown(Live, live => {
  const {model} = live;
  const clip = () => follow(model, 'clip', live.app.chosen, i => live.app.choose(i));
  return [
    ['change:_story', () => live.sync()],
    ['change:round', () => live.seek()],
    ['change:clip', clip],
  ];
});

export default {render};
