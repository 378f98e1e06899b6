import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Story, bytes, clamp, fixed, pct, row, words} from '../../sere_nb/front/data.js';
import {story} from './made.js';

test('numbers as texts', () => {
  assert.equal(pct(0.416), '42 %');
  assert.equal(fixed(0.416), '0.42');
  assert.equal(fixed(null), '');
  assert.deepEqual([clamp(-1, 0, 2), clamp(1, 0, 2), clamp(3, 0, 2)], [0, 1, 2]);
});

test('bytes as base64, as a view, as a view with an offset', () => {
  assert.deepEqual([...bytes('AQL/')], [1, 2, 255]);
  const whole = Uint8Array.from([9, 9, 1, 2, 3, 4]);
  assert.deepEqual([...bytes(new DataView(whole.buffer, 2, 3))], [1, 2, 3]);
  assert.deepEqual([...words(new DataView(whole.buffer, 2, 4))], [513, 1027]);
  assert.deepEqual([...words('AQIDBA==')], [513, 1027]);
});

test('the field of one clip from the columns of all', () => {
  const field = ['first_s', 'last_s', 'r', 'weight', 'from_s', 'to_s'];
  const columns = [...field, 'near', 'far', 'heard', 'sounds'];
  const all = Object.fromEntries(columns.map(k => [k, [`${k} 0`, `${k} 1`]]));
  const one = row({...all, low: -1, high: 1}, 1);
  assert.deepEqual([one.low, one.high, one.r, one.near], [-1, 1, 'r 1', 'near 1']);
});

test('a round: emotions, certainty, what changed', () => {
  const o = story();
  assert.equal(o.end, 2);
  o.at = 0;
  assert.deepEqual(
    [0, 1, 2, 3].map(i => o.name(i)),
    ['anger', 'anger', 'fear', 'fear'],
  );
  o.at = 2;
  assert.deepEqual(
    [0, 1, 2, 3].map(i => o.name(i)),
    ['anger', 'fear', 'fear', 'fear'],
  );
  assert.deepEqual(
    o.rounds.map(r => r.moved),
    [null, 1 / 3, 0],
  );
  assert.equal(o.best(0), 1); // a shot
  assert.ok(Math.abs(o.best(1) - 0.7) < 1e-4);
  assert.match(o.about(0), /a shot$/);
  assert.match(o.about(1), /70 %$/);
});

test('a shot is what its label says, whatever its shares', () => {
  const o = story();
  o.setShots(Uint16Array.from([1, 65535, 65535, 65535]));
  assert.equal(o.name(0), 'fear');
});

test('since which round a clip is called so, and how sure', () => {
  const o = story();
  assert.deepEqual([...o.rounds[2].since], [0, 1, 0, 0]);
  assert.deepEqual([...o.rounds[0].since], [0, 0, 0, 0]);
  assert.equal(o.rounds[0].sure[0], 255); // a shot
  assert.ok(Math.abs(o.rounds[0].sure[1] - 255 * 0.2) < 2); // (.6 - .5)/(1 - .5)
});

test('rounds that come anew replace those from there on', () => {
  const o = story();
  const again = {...o.rounds[0], p: o.rounds[0].p, r: o.rounds[0].r, xy: {}};
  o.add(1, again);
  assert.equal(o.rounds.length, 2);
  assert.equal(o.rounds[1].moved, 0);
});

test('right and wrong are told only when labels are revealed', () => {
  const o = story();
  assert.equal(o.right(1), null);
  assert.equal(o.uar(2), null);
  o.reveal(['anger', 'fear', 'anger', 'never seen']);
  o.at = 2;
  assert.deepEqual(
    [0, 1, 2, 3].map(i => o.right(i)),
    [null, true, false, null],
  );
  assert.equal(o.uar(2), 0.5); // fear: 1 of 1; anger: 0 of 1
  assert.equal(o.uar(0), 0); // fear: 0 of 1; anger: 0 of 1
});

test('an emotion may have any name', () => {
  const D = {classes: [{name: '__proto__'}, {name: 'constructor'}], path: ['a']};
  const o = new Story({...D, shot: 'AAA=', target: 'AA==', label: ['toString']});
  assert.equal(o.number.get('__proto__'), 0);
  assert.equal(o.number.has('toString'), false);
});
