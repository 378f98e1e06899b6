// What decided, in sentences.
import {NONE, fixed, pct} from './data.js';

// 1/6 where the share is one of equal ones.
export function share(p, K) {
  return Math.abs(p * K - 1) < 0.005 ? `1/${K}` : pct(p);
}

// How much nearer the highlight's moments are to one emotion than to another, and the
// rest's; null where there is nothing to compare.
export function lead(field, from, to, k, other) {
  const sums = [
    [0, 0],
    [0, 0],
  ];
  for (let t = 0; t < field.n; t++) {
    const inside = field.at(t) >= from && field.at(t) <= to ? 0 : 1;
    sums[inside][0] += field.value(t, k) - field.value(t, other);
    sums[inside][1]++;
  }
  const [there, elsewhere] = sums.map(([sum, n]) => (n ? sum / n : null));
  return there == null ? null : {there, elsewhere};
}

// The sentence on the highlight; `o` says where it is.
function stretch(o, field, names, k, second) {
  const gap = lead(field, o.from_s, o.to_s, k, second);
  if (!gap) return '';
  const where = `${fixed(o.from_s)} to ${fixed(o.to_s)} s`;
  const sign = v => (v < 0 ? '−' : '+') + fixed(Math.abs(v));
  const rest = gap.elsewhere == null ? '' : `; elsewhere by ${sign(gap.elsewhere)}`;
  const told = `${names[k]} leads ${names[second]} by ${sign(gap.there)}${rest}`;
  return `In its highlight, ${where}, ${told}.`;
}

const SOUNDS = ['pitch', 'loudness', 'timbre'];

// What is heard in the highlight, and the numbers behind it;
// null where nothing is sure.
export function heardThere(o) {
  if (!o?.heard) return null;
  const told = `${fixed(o.from_s)} to ${fixed(o.to_s)} s: ${o.heard}.`;
  const size = v => (v < 0 ? '−' : '+') + Math.abs(v).toFixed(1);
  const known = SOUNDS.filter((_, j) => o.sounds?.[j] != null);
  const numbers = known.map(k => `${k} ${size(o.sounds[SOUNDS.indexOf(k)])}`);
  return [told, `In standard deviations of what is usual: ${numbers.join(', ')}`];
}

// What its corpus was assumed to hold.
function assumed(story, i, k) {
  const corpus = story.D.corpus?.[i];
  const due = story.now.due?.[corpus];
  if (!due) return '';
  const name = story.D.classes[k].name;
  const whose = `the clips of ${corpus} without label`;
  if (due[k] == 0) return `It was assumed that none of ${whose} is ${name}.`;
  const part = share(due[k], story.K);
  return `Assumed: ${name} has its due, ${part} of ${whose}; the corpus may have none.`;
}

export function why(story, i, o, field) {
  const {D, K} = story;
  const k = story.emotion(i);
  const names = D.classes.map(c => c.name);
  if (story.shot[i] < NONE) return `It is a shot: its label says ${names[k]}.`;
  const others = [...names.keys()].filter(c => c != k);
  others.sort((a, b) => story.prob(i, b) - story.prob(i, a));
  const second = others[0];
  const since = story.now.since[i];
  const from = since ? ` since round ${since}` : ' from the start';
  const before =
    K > 1 ? `, before ${names[second]} (${pct(story.prob(i, second))})` : '';
  const parts = [`Called ${names[k]} (${pct(story.best(i))})${before},${from}.`];
  if (field?.n && K > 1) parts.push(stretch(o, field, names, k, second));
  return [...parts, assumed(story, i, k)].filter(t => t).join(' ');
}
