// Elements whose text is always text, and the signs of emotions.

// A maker of elements: properties, listeners (`on…`), and what is inside.
function build(make) {
  return (name, props = {}, ...inside) => {
    const e = make(name);
    for (const [k, v] of Object.entries(props)) {
      if (k.startsWith('on')) e.addEventListener(k.slice(2), v);
      else if (v != null && v !== false) e.setAttribute(k, v);
    }
    e.append(...inside.filter(o => o != null));
    return e;
  };
}

const SVG = 'http://www.w3.org/2000/svg';
export const h = build(name => document.createElement(name));
export const s = build(name => document.createElementNS(SVG, name));
export const text = t => h('bdi', {}, t);
export const small = (...inside) => h('span', {class: 'count'}, ...inside);

// A list to choose from; `options` are pairs of value and text.
export function select(title, options, value, act) {
  const items = options.map(([v, t]) => h('option', {value: v}, t));
  const e = h('select', {'aria-label': title, onchange: () => act(e.value)}, ...items);
  e.value = value;
  return e;
}

export const SHAPES = {
  o: 'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z',
  h: 'M-4 0l2-3.6h4l2 3.6-2 3.6h-4z',
  8: 'M-4-1.6l2.4-2.4h3.2l2.4 2.4v3.2l-2.4 2.4h-3.2l-2.4-2.4z',
  s: 'M-3.5-3.5h7v7h-7z',
  '^': 'M0-4.4L4.2 3.4h-8.4z',
  v: 'M0 4.4L4.2-3.4h-8.4z',
  D: 'M0-4.8L4.8 0 0 4.8-4.8 0z',
  P: 'M-1.5-4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z',
  '*': 'M0-5.2l1.5 3.4 3.7.3-2.8 2.4.9 3.6-3.3-2-3.3 2 .9-3.6-2.8-2.4 3.7-.3z',
};
export const FORMS = ['o', '^', 's', 'v', 'P', 'h', '8', '*', 'D']; // of languages

const INK = '#000000'; // stands for the colour of the text
export const YELLOW = '#F0E442'; // wants an edge on white
export const colour = c => (c.colour == INK ? 'var(--ink)' : c.colour);
export const hue = (c, ink) => (c.colour == INK ? ink : c.colour);

export function shape(c, x, y) {
  const props = {fill: colour(c), stroke: 'var(--page)', 'stroke-width': 0.8};
  return s('path', {d: SHAPES[c.marker], transform: `translate(${x} ${y})`, ...props});
}

export function sign(c) {
  const props = {stroke: colour(c), 'stroke-width': 1.8, 'stroke-dasharray': c.dash};
  const line = s('path', {d: 'M-14 0h28', ...props});
  const box = {class: 'mark', viewBox: '-14 -6 28 12', 'aria-hidden': 'true'};
  return s('svg', box, line, shape(c, 0, 0));
}

export const tag = c => h('span', {class: 'tag'}, sign(c), text(c.name));

// Keys in a table of clips: arrows choose the next row, space plays, Escape closes.
export function rowKey(e, {choose, play, close}) {
  const row = e.target.closest?.('tr');
  const next = {
    ArrowDown: row?.nextElementSibling,
    ArrowUp: row?.previousElementSibling,
  }[e.key];
  if (next) {
    next.querySelector('.open').focus();
    choose(+next.dataset.i);
  } else if (e.key == ' ') play(+row.dataset.i);
  else if (e.key == 'Escape') close();
  else return;
  e.preventDefault();
  e.stopPropagation();
}
