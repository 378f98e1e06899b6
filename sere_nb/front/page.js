// A page of its own: everything stands in script blocks of the file.
import {App} from './app.js';
import {row} from './data.js';

const read = id => JSON.parse(document.getElementById(id).textContent);
function open() {
  const [D, fields, sounds] = ['clips', 'fields', 'sounds'].map(read);
  const at = new Map(fields.rows.map((i, j) => [i, j]));
  const clip = async i => ({
    mp3: sounds[i],
    ...(at.has(i) ? row(fields, at.get(i)) : {}),
  });
  const app = new App(document.getElementById('explorer'), D, {
    sounds: i => i in sounds,
    clip,
  });
  app.add(D.rounds);
  app.premiere();
}

open();
