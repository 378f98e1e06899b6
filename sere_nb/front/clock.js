// Time: a float that glides to the round that is asked for, or runs on by itself.
import {clamp} from './data.js';

export const PLAYED = 900; // ms a round while it plays
export const SOUGHT = 450; // ms a round when one is asked for

export class Clock {
  constructor() {
    this.time = 0;
    this.goal = 0;
    this.end = 0; // the last round
    this.playing = false;
  }

  get round() {
    return clamp(Math.round(this.time), 0, this.end);
  }

  get moving() {
    return this.time != this.goal;
  }

  seek(r) {
    this.goal = clamp(r, 0, this.end);
  }

  jump(r) {
    this.goal = this.time = clamp(Math.round(r), 0, this.end);
  }

  // On from here; from the start when the end is on show. Again: a pause.
  play() {
    this.playing = !this.playing && this.end > 0;
    if (!this.playing) return this.seek(Math.round(this.time));
    if (this.time >= this.end) this.time = 0;
    this.goal = Math.floor(this.time) + 1;
  }

  // `still`: steps for those who asked their system for less motion
  step(ms, still = false) {
    const {time, goal} = this;
    const by = Math.min(100, ms) / (this.playing ? PLAYED : SOUGHT);
    if (still) this.time = goal;
    else if (time < goal) this.time = Math.min(goal, time + by);
    else this.time = Math.max(goal, time - by * Math.max(1, time - goal));
    if (this.time != this.goal || !this.playing) return;
    if (this.goal < this.end) this.goal++;
    else this.playing = false;
  }
}
