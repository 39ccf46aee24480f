/** The answer of `GET api/session-user/me`; each call gives a fresh copy to modify. */
export function answer(changes = {}, userChanges = {}) {
  return {
    id: 'session-1',
    user: {
      username: 'ada',
      name: 'Ada Lovelace',
      display_name: 'Ada King Lovelace',
      initials: 'AL',
      avatar_url: null,
      color: null,
      groups: ['analysts'],
      admin: false,
      is_anonymous: false,
      ...userChanges
    },
    kernel_id: null,
    source: 'jupyter_server',
    verified: true,
    authenticated_at: '2026-11-22T05:56:00+00:00',
    last_seen_at: '2026-11-22T05:57:00+00:00',
    expires_at: null,
    ...changes
  };
}

const filled = (text, values) => text.replace(/%(\d)/g, (_, n) => values[n - 1]);

/** English, as JupyterLab's own bundle gives it: that one cannot be imported outside a browser. */
export const trans = {
  __: (text, ...values) => filled(text, values),
  _n: (one, many, n) => filled(n === 1 ? one : many, [n])
};

/** A clock that stands still until `pass` moves it. */
export function fakeClock() {
  const timers = new Set();
  const clock = {
    time: 0,
    now: () => clock.time,
    after(wait, callback) {
      const timer = { at: clock.time + wait, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    get waiting() {
      return timers.size;
    },
    /** Run the timers that are due, each at its time, and let every callback finish. */
    async pass(wait) {
      const end = clock.time + wait;
      for (;;) {
        const [next] = [...timers].sort((one, other) => one.at - other.at);
        if (next === undefined || next.at > end) {
          break;
        }
        timers.delete(next);
        clock.time = next.at;
        next.callback();
        await settled();
      }
      clock.time = end;
    }
  };
  return clock;
}

/** Let promises that are resolved already go on. */
export function settled() {
  return new Promise(resolve => setTimeout(resolve, 1));
}
