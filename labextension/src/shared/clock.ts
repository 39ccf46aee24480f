/** The browser's time, in milliseconds. */
export interface IClock {
  now(): number;
  /** Call back once; the returned function cancels the call. */
  after(wait: number, callback: () => void): () => void;
}

export const CLOCK: IClock = {
  now: () => Date.now(),
  after: (wait, callback) => {
    const timer = setTimeout(callback, wait);
    return () => clearTimeout(timer);
  }
};
