/** Brings the banner to the previews of Panel: the server puts this script into their pages. */
import type { bannerOfPage } from './voila.js';

const { src, dataset } = document.currentScript as HTMLScriptElement;

async function start(): Promise<void> {
  const url = new URL('banner.js', src).href;
  const module = (await import(/* webpackIgnore: true */ url)) as {
    bannerOfPage: typeof bannerOfPage;
  };
  await module.bannerOfPage({
    style: new URL('banner.css', src).href,
    texts: {},
    // A preview's websocket cannot be opened again: Panel ends its kernel with it.
    connection: () => null,
    kernelId: dataset.kernel
  });
}

void start().catch((reason: unknown) => console.warn('jupyter-session-user', reason));
