// Two small charts under the map: what TRIC does, and what the clips do.
import {fixed} from './data.js';
import {h, s} from './dom.js';

const DASHES = ['', '7 3', '2 3', '9 3 2 3', '14 3', '6 2 1 2 1 2', '1 4', '4 2'];
const HUES =
  '#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 var(--dim) var(--ink)'.split(' ');
const BOX = {H: 140, L: 34, R: 128, T: 18, B: 18};

const TITLES = {
  tric: 'the sum',
  labelled_prototype: 'lab.–prototype',
  unlabelled_prototype: 'unlab.–prototype',
  circumstances: 'voices, words',
};

// Heights of names at the ends of lines, at least 12 apart.
export function spread(wanted, highest) {
  const ends = wanted.map((y, j) => ({j, y})).sort((a, b) => a.y - b.y);
  ends.forEach((o, j) => {
    if (j) o.y = Math.max(o.y, ends[j - 1].y + 12);
  });
  ends.reverse().forEach((o, j) => {
    o.y = Math.min(o.y, j ? ends[j - 1].y - 12 : highest);
  });
  return ends;
}

// Certainty may fall while clips settle. Why: from the rounds' own numbers.
export function whyLess(rounds) {
  const fell = rounds.findIndex(
    (o, r) => r && o.certain < rounds[r - 1].certain - 0.004,
  );
  if (fell < 0) return '';
  const [a, b] = [rounds[fell - 1], rounds[fell]];
  const wider = b.losses.spread > a.losses.spread;
  const why = wider
    ? 'the clips that joined an emotion lie further apart than its shots, so each is' +
      ' drawn wider, and a clip between two is less sure of either'
    : 'clips near a border are less sure of their emotion, though few change it';
  return `Certainty falls from round ${fell - 1} to ${fell}: ${why}.`;
}

// A chart of `lines` ({name, y: a number a round}); `top`: its height, if known.
class Plot {
  constructor(box, title, lines, top, go) {
    const W = Math.max(280, box.clientWidth || 420); // so that texts keep their size
    const {H, L, R, T, B} = BOX;
    const all = lines.flatMap(l => l.y.filter(v => v != null));
    const high = top ?? Math.max(0.1, ...all);
    const low = Math.min(0, ...all);
    Object.assign(this, {W, title, lines, n: Math.max(2, lines[0].y.length)});
    this.x = r => L + (r / (this.n - 1)) * (W - L - R);
    this.y = v => H - B - ((v - low) / (high - low)) * (H - B - T);
    const props = {viewBox: `0 0 ${W} ${H}`, role: 'img', style: `width:${W}px`};
    this.svg = s('svg', {class: 'chart', ...props}, s('text', {x: L, y: 11}, title));
    this.svg.append(
      ...this.grid([...(low < -0.1 * high ? [low] : []), 0, high / 2, high]),
    );
    const line = {d: `M0 ${T}V${H - B}`, stroke: 'var(--ink)', 'stroke-width': 1.4};
    this.round = s('text', {y: H - 5, 'text-anchor': 'middle'});
    this.cursor = s('path', {class: 'cursor', ...line});
    this.svg.append(this.cursor, this.round, ...this.curves());
    this.svg.addEventListener('click', e => go(this.hit(e)));
    box.replaceChildren(this.svg);
  }

  grid(values) {
    const {L, R} = BOX;
    return values.flatMap(v => {
      const d = `M${L} ${this.y(v)}H${this.W - R}`;
      const at = {x: L - 3, y: this.y(v) + 4, 'text-anchor': 'end'};
      const line = s('path', {d, stroke: 'var(--line)', 'stroke-width': 0.6});
      return [line, s('text', at, +v.toPrecision(2))];
    });
  }

  curves() {
    const {H, R} = BOX;
    const right = this.W - R;
    const last = this.lines.map(l => this.y(l.y[l.y.length - 1] ?? 0));
    return spread(last, H - 8).flatMap(({j, y: at}) => {
      const {name, y: values} = this.lines[j];
      const dash = DASHES[j % DASHES.length];
      const look = {
        class: 'curve',
        stroke: HUES[j % HUES.length],
        'stroke-dasharray': dash,
      };
      const points = values.map((v, r) =>
        v == null ? '' : `${this.x(r)} ${this.y(v)}`,
      );
      const d = points.filter(o => o).join('L');
      if (!d) return [];
      return [
        s('path', {d: 'M' + d, ...look}),
        s('path', {d: `M${right + 5} ${at - 3}h16`, ...look}),
        s('text', {x: right + 25, y: at + 1}, name),
      ];
    });
  }

  // The round that was clicked on.
  hit(e) {
    const b = this.svg.getBoundingClientRect();
    const across = ((e.clientX - b.left) / b.width) * this.W - BOX.L;
    return Math.round((across / (this.W - BOX.L - BOX.R)) * (this.n - 1));
  }

  // The cursor runs with time.
  at(time) {
    const r = Math.round(time);
    this.cursor.setAttribute('transform', `translate(${this.x(time)} 0)`);
    this.round.setAttribute('x', this.x(time));
    this.round.textContent = r;
    const told = this.lines.map(l => `${l.name} ${fixed(l.y[r])}`).join(', ');
    this.svg.setAttribute('aria-label', `${this.title}: ${told} in round ${r}`);
  }
}

export class Charts {
  constructor(app) {
    this.app = app;
    this.boxes = [h('div'), h('div')];
    this.why = h('small', {class: 'why'});
    const curves = h('div', {class: 'curves'}, ...this.boxes);
    this.element = h('div', {}, curves, this.why);
    this.plots = [];
    new ResizeObserver(() => this.draw()).observe(curves);
  }

  draw() {
    const {story} = this.app;
    const {rounds} = story;
    this.why.textContent = whyLess(rounds);
    this.plots = [];
    if (!rounds.length) return this.boxes.forEach(o => o.replaceChildren());
    const go = r => this.app.go(r);
    const line = (name, f) => ({name, y: rounds.map(f)});
    const terms = Object.keys(rounds[0].losses);
    const title = k => TITLES[k] ?? k.replaceAll('_', ' ');
    const tric = terms.map(k => line(title(k), o => o.losses[k]));
    const clips = [
      line('mean certainty', o => o.certain),
      line('share changed', o => o.moved),
    ];
    if (story.label && story.revealed) clips.push(line('UAR', (_, r) => story.uar(r)));
    this.plots = [
      new Plot(this.boxes[0], 'TRIC and its terms', tric, null, go),
      new Plot(this.boxes[1], 'of the clips without label', clips, 1, go),
    ];
    this.at(this.app.clock.time);
  }

  // Of two, one story may end before the other.
  at(time) {
    const t = Math.min(time, this.app.story.end);
    this.plots.forEach(o => o.at(t));
  }
}
