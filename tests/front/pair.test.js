import assert from 'node:assert/strict';
import {test} from 'node:test';
import {beside, between} from '../../sere_nb/front/otherwise.js';
import {story} from './made.js';

// The same clips, told by one who numbers emotions the other way round.
function other() {
  const o = story();
  o.D.classes.reverse();
  o.D.name = 'B';
  return o;
}

test('what two call otherwise is told by name', () => {
  const [a, b] = [story(), story()];
  assert.deepEqual(between(a, a), []);
  b.at = 2; // c and d are fear from the start; b turns in round 1
  assert.deepEqual(between(a, b), [{from: 'anger', to: 'fear', rows: [1]}]);
  const c = other(); // all are called otherwise, the shot among them
  assert.deepEqual(between(a, c), [
    {from: 'anger', to: 'fear', rows: [0, 1]},
    {from: 'fear', to: 'anger', rows: [2, 3]},
  ]);
});

test('an emotion that only one of them knows', () => {
  const [a, b] = [story(), story()];
  b.D.classes[1] = {name: 'joy, or "joie"'};
  assert.deepEqual(between(a, b), [{from: 'fear', to: 'joy, or "joie"', rows: [2, 3]}]);
  a.D.name = 'A';
  b.D.name = 'B';
  b.number = new Map(b.D.classes.map((c, k) => [c.name, k]));
  const [head, first] = beside([a, b], [2]).split('\n');
  assert.equal(
    head,
    'path,emotion (A),confidence (A),emotion (B),confidence (B)',
  );
  assert.equal(first, 'c.wav,fear,0.6000,"joy, or ""joie""",0.6000');
});
