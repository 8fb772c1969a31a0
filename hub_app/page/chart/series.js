// Series of a chart: columns of time, mean, least, greatest and count, and which neighbours are joined. Pure.

const MOST_OLD = 100;

export class Series {
  // A point is [time, mean, least, greatest, count]; one of several readings begins at its time and lasts
  // `bucketMs`, `untilMs` at most. Points further apart than `joinMs` are not joined, nor are two with a gap between them.
  constructor({ points, bucketMs = 0, untilMs = Infinity, joinMs = Infinity, gaps = [], ...words }) {
    Object.assign(this, { label: "", unit: "", format: String, times: [], means: [], lows: [], highs: [], counts: [], joined: [] }, words);
    this.joinMs = joinMs;
    const wide = gaps.filter(([from, to]) => to - from >= bucketMs / 2);
    let next = 0;
    for (const [time, mean, low, high, count] of points) {
      const at = count > 1 ? (time + Math.min(time + bucketMs, untilMs)) / 2 : time;
      const middle = (at + this.times[this.times.length - 1]) / 2;
      while (next < wide.length && wide[next][1] <= middle) next++;
      this.push(at, mean, low, high, count, !(next < wide.length && wide[next][0] <= middle));
    }
  }

  push(time, mean, low = mean, high = mean, count = 1, joined = true) {
    const last = this.times[this.times.length - 1];
    if (time <= last) return;
    this.joined.push(joined && time - last <= this.joinMs);
    this.times.push(time);
    this.means.push(mean);
    this.lows.push(low);
    this.highs.push(high);
    this.counts.push(count);
  }

  // Drops the points before a time; a few stay, as it is done for many at once.
  dropBefore(time) {
    const count = this.find(time);
    if (count < MOST_OLD) return;
    [this.times, this.means, this.lows, this.highs, this.counts, this.joined].forEach((column) => column.splice(0, count));
  }

  // Returns the index of the first point that is not before a time.
  find(time) {
    let [low, high] = [0, this.times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Returns the index of the point next to a time, -1 where there is none.
  nearest(time) {
    const after = this.find(time);
    if (after === this.times.length) return after - 1;
    return after > 0 && time - this.times[after - 1] < this.times[after] - time ? after - 1 : after;
  }

  // Returns least, greatest, mean and the number of points between two times.
  extent(from, to) {
    let [low, high, sum, count] = [Infinity, -Infinity, 0, 0];
    const first = this.find(from);
    let i = first;
    for (; i < this.times.length && this.times[i] <= to; i++) {
      if (this.lows[i] < low) low = this.lows[i];
      if (this.highs[i] > high) high = this.highs[i];
      sum += this.means[i] * this.counts[i];
      count += this.counts[i];
    }
    return { low, high, mean: sum / count, size: i - first, last: i - 1 };
  }

  // Yields the runs of joined points between two times and one beyond, at most one point for each `stepMs`.
  *runs(from, to, stepMs) {
    let run = null;
    let cell = NaN;
    for (let i = Math.max(0, this.find(from) - 1); i < this.times.length; i++) {
      if (!run || !this.joined[i]) {
        if (run) yield run;
        run = { times: [], means: [], lows: [], highs: [] };
        cell = NaN;
      }
      const time = this.times[i];
      const k = run.times.length - 1;
      if (Math.floor(time / stepMs) === cell) {
        if (this.lows[i] < run.lows[k]) run.lows[k] = this.lows[i];
        if (this.highs[i] > run.highs[k]) run.highs[k] = this.highs[i];
        run.means[k] += (this.means[i] - run.means[k]) / ++run.size;
      } else {
        run.times.push(time);
        run.means.push(this.means[i]);
        run.lows.push(this.lows[i]);
        run.highs.push(this.highs[i]);
        run.size = 1;
        cell = Math.floor(time / stepMs);
      }
      if (time > to) break;
    }
    if (run) yield run;
  }
}
