// The chosen clip: what it is called, its sound, its field, what it is like.
import {bytes, fixed, pct} from './data.js';
import {h, sign, small, tag, text} from './dom.js';
import {Field} from './field.js';
import {decode} from './sound.js';
import {heardThere, why} from './why.js';

const HINT =
  'Choose a clip, on the map or below, to hear it and to see its resonance over time.';
const LEAST = 0.4; // s of a highlight that an ear needs

const base64 = b => btoa(bytes(b).reduce((a, c) => a + String.fromCharCode(c), ''));
const source = mp3 =>
  'data:audio/mpeg;base64,' + (typeof mp3 == 'string' ? mp3 : base64(mp3));
const listen = e => e?.play().catch(() => {}); // a browser may want a click first
const group = (name, label, ...inside) =>
  h('div', {class: `row ${name}`, role: 'group', 'aria-label': label}, ...inside);

export class Panel {
  constructor(app) {
    this.app = app;
    this.player = null;
    this.asked = 0; // the newest question; answers to older ones come too late
    this.element = h('aside', {class: 'panel empty', 'aria-label': 'the chosen clip'});
  }

  audio(i, o) {
    const props = {
      controls: '',
      preload: 'auto',
      'aria-label': 'the clip',
      'data-i': i,
    };
    const e = h('audio', {...props, src: source(o.mp3)});
    e.until = Infinity;
    const run = () => {
      if (e.currentTime >= e.until) {
        e.pause();
        e.until = Infinity;
      }
      e.field?.follow(e.currentTime);
      if (!e.paused) requestAnimationFrame(run);
    };
    e.addEventListener('play', run);
    e.addEventListener('seeked', run);
    return e;
  }

  hush() {
    this.player?.pause();
    this.player = null;
  }

  hearOrPause() {
    if (!this.player) return false;
    if (this.player.paused) listen(this.player);
    else this.player.pause();
    return true;
  }

  // Another clip's sound, while this one stays chosen.
  async hear(i) {
    const {app} = this;
    const o = await app.link.clip(i);
    if (!o?.mp3) return app.say('sound', `${app.D.path[i]}: its sound is not here.`);
    app.say('sound');
    this.hush();
    this.player = this.audio(i, o);
    listen(this.player);
  }

  // What is known is shown at once; the rest may come from a kernel that is busy.
  async show(i, sound) {
    const mine = ++this.asked;
    this.hush();
    this.fill(i);
    const o = await this.app.link.clip(i);
    if (mine != this.asked) return;
    const waves = o?.mp3 ? decode(o.mp3) : null;
    this.fill(i, o);
    if (sound) listen(this.player);
    const wave = await waves;
    if (wave && mine == this.asked) this.redraw(i, o, wave);
  }

  // The field once more, now with its sound.
  redraw(i, o, wave) {
    const field = new Field(this.app, i, o, wave);
    const at = this.element.querySelector('.picture');
    if (!at || !field.svg) return;
    at.firstChild.replaceWith(field.svg);
    at.lastChild.textContent = this.caption(field, o);
    this.player.field = field;
  }

  // The panel after its clip has changed; the focus stays where it was.
  async again() {
    const i = this.app.chosen;
    const mine = this.asked;
    if (i == null || this.element.classList.contains('empty')) return;
    const o = await this.app.link.clip(i);
    const wave = o?.mp3 ? await decode(o.mp3) : null;
    if (mine != this.asked || this.app.chosen !== i) return;
    const parts = () => [...this.element.querySelectorAll('button,select,audio')];
    const held = parts().indexOf(document.activeElement);
    this.fill(i, o, wave);
    if (held >= 0) parts()[held]?.focus();
  }

  close() {
    this.hush();
    this.asked++;
    this.element.className = 'panel empty';
    this.element.replaceChildren(small(HINT));
  }

  // Without `o` it is on its way.
  fill(i, o, wave) {
    const {app} = this;
    const field = o?.r ? new Field(app, i, o, wave) : null;
    const told = why(app.story, i, o, field?.data);
    const shut = {class: 'close', 'aria-label': 'close', onclick: () => app.close()};
    const parts = [
      h('h3', {}, text(app.D.path[i])),
      h('button', shut, '✕'),
      this.verdict(i),
      h('p', {class: 'why'}, told),
      this.sound(i, o, field),
      this.heard(o),
      app.controls?.teaching(i),
      field?.svg ? this.picture(field, o) : null,
      this.probabilities(i),
      o?.near?.length ? this.alike(o) : null,
      app.story.rounds.length > 1 ? this.names(i) : null,
    ];
    this.element.className = 'panel';
    this.element.replaceChildren(...parts.filter(e => e));
  }

  verdict(i) {
    const {story, D} = this.app;
    const how = story.isShot(i) ? ' a shot' : ` ${pct(story.best(i))}`;
    const line = h('div', {}, tag(D.classes[story.emotion(i)]), how);
    const label = story.revealed && !story.isShot(i) ? story.label?.[i] : null;
    if (label) {
      const [mark, look] = this.app.verdict(i);
      const right = story.right(i);
      line.append(
        h('span', {class: look}, right ? '  ✓ as labelled' : `  ${mark}labelled `),
      );
      if (!right) line.append(text(label));
    }
    if (D.language) line.append(small(' · ', text(D.language[i])));
    if (D.speaker?.[i]) line.append(small(' · speaker ', text(D.speaker[i])));
    return line;
  }

  sound(i, o, field) {
    const box = h('div', {class: 'row sound'});
    if (!o?.mp3) {
      const told = o
        ? 'The sound of this clip is not here.'
        : 'Sound and field are on their way …';
      box.append(small(told));
      return box;
    }
    const own = this.player?.dataset.i == i ? this.player : this.audio(i, o);
    this.player = own;
    own.field = field?.svg ? field : null;
    box.append(own);
    if (o.r) {
      const play = () => this.highlight(own, o, this.app.D.start_s?.[i] ?? 0);
      const title = 'with as much around it as an ear needs, 0.4 s in all';
      box.append(h('button', {onclick: play, title}, 'play the highlight'));
    }
    return box;
  }

  heard(o) {
    const found = heardThere(o);
    if (!found) return null;
    return h('p', {class: 'heard', title: found[1]}, `Highlight, ${found[0]}`);
  }

  highlight(own, o, zero) {
    const more = Math.max(0, LEAST - (o.to_s - o.from_s)) / 2;
    own.currentTime = Math.max(0, o.from_s - zero - more);
    own.until = o.to_s - zero + more;
    listen(own);
  }

  picture(field, o) {
    return h(
      'div',
      {class: 'picture'},
      field.svg,
      h('small', {}, this.caption(field, o)),
    );
  }

  caption(field, o) {
    const till = `${fixed(o.from_s)} to ${fixed(o.to_s)} s`;
    const quiet = (field.silence ?? []).reduce((sum, [a, b]) => sum + b - a, 0);
    const silent = quiet ? ` Hatched: silence, ${fixed(quiet)} s in all.` : '';
    return `Over time in the file. Shaded: the highlight, ${till}.${silent}`;
  }

  probabilities(i) {
    const {story, D} = this.app;
    const dim = (c, on) => () =>
      this.element
        .querySelectorAll('.line')
        .forEach(g => g.classList.toggle('dim', on && g.dataset.k != c));
    const order = [...D.classes.keys()].sort(
      (a, b) => story.prob(i, b) - story.prob(i, a),
    );
    const rows = order.flatMap(c => {
      const over = {onmouseenter: dim(c, true), onmouseleave: dim(c, false)};
      const [p, r] = [h('i'), h('i')];
      const v = story.resonance(i, c);
      p.style.width = `${100 * story.prob(i, c)}%`;
      r.style.width = `${50 * Math.abs(v)}%`;
      r.style.left = `${v < 0 ? 50 + 50 * v : 50}%`;
      return [
        h('span', over, tag(D.classes[c])),
        h('span', {class: 'bar'}, p),
        h('span', over, pct(story.prob(i, c))),
        h('span', {class: 'bar from0'}, r),
        h('span', over, fixed(v)),
      ];
    });
    const heads = [
      h('span'),
      small('probability'),
      h('span'),
      small('resonance'),
      h('span'),
    ];
    const label = 'probability and resonance of each emotion';
    return h(
      'div',
      {class: 'probs', role: 'group', 'aria-label': label},
      ...heads,
      ...rows,
    );
  }

  // The nearest of all clips, to be heard; how far they are.
  alike({near, far}) {
    const {story, D} = this.app;
    const buttons = near.map((j, n) => {
      const away = fixed(far?.[n]);
      const props = {
        title: `${D.path[j]}: double click to choose it`,
        'data-i': j,
        'aria-label': `play ${story.about(j)}, ${away} away`,
        onclick: () => this.hear(j),
        ondblclick: () => this.app.choose(j, true),
      };
      const shot = story.isShot(j) ? ' ◇' : '';
      return h(
        'button',
        props,
        '▶ ',
        tag(D.classes[story.emotion(j)]),
        `${shot} ${away}`,
      );
    });
    const title = 'nearest clips: 1 − cosine between how they stand to the prototypes';
    const head = h('span', {class: 'count', title}, 'nearest clips, and how far');
    return group('', 'nearest clips', head, ...buttons);
  }

  names(i) {
    const {story, D, round} = this.app;
    const buttons = story.rounds.map((q, r) => {
      const c = D.classes[q.e[i]];
      const title = `round ${r}: ${c.name}`;
      const current = r == round ? 'true' : null;
      const props = {title, 'aria-label': title, 'aria-current': current};
      return h('button', {...props, onclick: () => this.app.go(r)}, sign(c));
    });
    return group(
      'rounds',
      'called in each round',
      small('called, by round'),
      ...buttons,
    );
  }
}
