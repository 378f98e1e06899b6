import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Clock} from '../../sere_nb/front/clock.js';

const ready = end => Object.assign(new Clock(), {end});

test('it glides to the round that is asked for, and no further', () => {
  const c = ready(10);
  c.seek(3);
  const seen = [];
  while (c.moving) {
    c.step(16);
    seen.push(c.time);
  }
  assert.equal(c.time, 3);
  assert.ok(seen.every((t, j) => !j || t > seen[j - 1]));
  c.seek(99);
  assert.equal(c.goal, 10);
});

test('it plays through every round, each on show in turn, and ends', () => {
  const c = ready(4);
  c.play();
  const shown = [c.round];
  for (let j = 0; j < 1000 && (c.moving || c.playing); j++) {
    c.step(16);
    if (c.round != shown.at(-1)) shown.push(c.round);
  }
  assert.deepEqual(shown, [0, 1, 2, 3, 4]);
  assert.equal(c.playing, false);
  c.play(); // from the start again
  assert.deepEqual([c.time, c.goal, c.playing], [0, 1, true]);
});

test('rounds that are taken away while it plays', () => {
  for (const stop of [1.3, 2.6, 3.7, 5.6]) {
    const c = ready(6);
    c.play();
    while (c.time < stop) c.step(16);
    c.end = 4;
    c.jump(c.time); // between two rounds, and maybe past the last
    const seen = [];
    for (let j = 0; j < 1000 && (c.moving || c.playing); j++) {
      c.step(16);
      seen.push(c.time, c.goal);
    }
    assert.deepEqual([c.time, c.goal, c.playing], [4, 4, false]);
    assert.ok(seen.every(t => t <= 4));
  }
});

test('a pause stays at the nearest round', () => {
  const c = ready(4);
  c.play();
  while (c.time < 1.6) c.step(16);
  c.play();
  assert.deepEqual([c.playing, c.goal], [false, 2]);
});

test('with less motion it steps', () => {
  const c = ready(4);
  c.seek(3);
  c.step(16, true);
  assert.equal(c.time, 3);
});

test('one round, or none, cannot be played', () => {
  const c = ready(0);
  c.play();
  assert.equal(c.playing, false);
});
