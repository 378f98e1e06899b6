// Two small charts under the map: what TRIC does, and what the clips do.
import {fixed} from './data.js';
import {h, s} from './dom.js';

const DASHES = ['', '7 3', '2 3', '9 3 2 3', '14 3', '6 2 1 2 1 2', '1 4'];
const HUES = '#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 var(--dim)'.split(' ');
const BOX = {W: 420, H: 140, L: 34, R: 128, T: 18, B: 18};

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

// A chart of `lines` ({name, y: a number a round}); `top`: its height, if known.
function plot(title, lines, top, goal, go) {
  const {W, H, L, R, T, B} = BOX;
  const n = Math.max(2, lines[0].y.length);
  const all = lines.flatMap(l => l.y.filter(v => v != null));
  const high = top ?? Math.max(0.1, ...all);
  const low = Math.min(0, ...all);
  const x = r => L + (r / (n - 1)) * (W - L - R);
  const y = v => H - B - ((v - low) / (high - low)) * (H - B - T);
  const told = lines.map(l => `${l.name} ${fixed(l.y[goal])}`).join(', ');
  const label = `${title}: ${told} in round ${goal}`;
  const props = {viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': label};
  const svg = s('svg', {class: 'chart', ...props}, s('text', {x: L, y: 10}, title));
  for (const v of [...(low < -0.1 * high ? [low] : []), 0, high / 2, high]) {
    const grid = {
      d: `M${L} ${y(v)}H${W - R}`,
      stroke: 'var(--line)',
      'stroke-width': 0.6,
    };
    const at = {x: L - 3, y: y(v) + 4, 'text-anchor': 'end'};
    svg.append(s('path', grid), s('text', at, +v.toPrecision(2)));
  }
  const cursor = {
    d: `M${x(goal)} ${T}V${H - B}`,
    stroke: 'var(--ink)',
    'stroke-width': 1.2,
  };
  const below = {x: x(goal), y: H - 5, 'text-anchor': 'middle'};
  svg.append(s('path', cursor), s('text', below, goal));
  const last = lines.map(l => y(l.y[l.y.length - 1] ?? 0));
  for (const {j, y: at} of spread(last, H - 8)) {
    const {name, y: values} = lines[j];
    const look = {class: 'curve', stroke: HUES[j], 'stroke-dasharray': DASHES[j]};
    const points = values.map((v, r) => (v == null ? '' : `${x(r)} ${y(v)}`));
    const d = points.filter(o => o).join('L');
    if (!d) continue;
    svg.append(
      s('path', {d: 'M' + d, ...look}),
      s('path', {d: `M${W - R + 5} ${at - 3}h16`, ...look}),
      s('text', {x: W - R + 25, y: at + 1}, name),
    );
  }
  svg.addEventListener('click', e => {
    const b = svg.getBoundingClientRect();
    const along = (((e.clientX - b.left) / b.width) * W - L) / (W - L - R);
    go(Math.round(along * (n - 1)));
  });
  return svg;
}

export class Charts {
  constructor(app) {
    this.app = app;
    this.element = h('div', {class: 'curves'});
  }

  draw() {
    const {story, clock} = this.app;
    const {rounds} = story;
    if (!rounds.length) return this.element.replaceChildren();
    const go = r => this.app.go(r);
    const line = (name, f) => ({name, y: rounds.map(f)});
    const terms = Object.keys(rounds[0].losses);
    const tric = terms.map(k => line(TITLES[k] ?? k, o => o.losses[k]));
    const clips = [
      line('mean certainty', o => o.certain),
      line('changed emotion', o => o.moved),
    ];
    if (story.label && story.revealed) clips.push(line('UAR', (_, r) => story.uar(r)));
    this.element.replaceChildren(
      plot('TRIC and its terms', tric, null, clock.goal, go),
      plot('of the clips without label', clips, 1, clock.goal, go),
    );
  }
}
