// Two maps on a page of its own: everything stands in script blocks of the file.
import {row} from './data.js';
import {Pair} from './pair.js';

const read = id => JSON.parse(document.getElementById(id).textContent);
function open() {
  const [both, fields, sounds] = ['clips', 'fields', 'sounds'].map(read);
  const at = fields.map(o => new Map(o.rows.map((i, j) => [i, j])));
  const clip = async (i, side) => ({
    mp3: sounds[i],
    ...(at[side].has(i) ? row(fields[side], at[side].get(i)) : {}),
  });
  const root = document.getElementById('explorer');
  const pair = new Pair(root, both, {sounds: i => i in sounds, clip});
  both.sides.forEach((D, j) => pair.add(j, D.rounds));
  pair.premiere();
}

open();
