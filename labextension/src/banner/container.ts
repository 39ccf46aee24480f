/**
 * Brings the banner to Voila's pages, as a prebuilt extension of JupyterLab.
 *
 * Written by hand: a container that asks for no shared module loads with every release and
 * template of Voila, where most extensions fail. JupyterLab and Notebook 7 load it too; there
 * it does nothing.
 */
import { isVoila, pageConfig } from './place.js';
import type { Texts } from './texts.js';
import type { bannerOfPage, IVoilaConnection } from './voila.js';

const NAME = 'jupyter-session-user-voila';
const here = (document.currentScript as HTMLScriptElement).src;

/** The part of Voila's application that matters here. */
interface IApp {
  readonly widgetManager?: { readonly kernel?: IVoilaConnection | null };
  readonly widgetManagerPromise?: { readonly promise: Promise<unknown> };
}

interface IOptions {
  readonly banner?: boolean;
  readonly texts?: Texts;
}

async function start(app: IApp): Promise<void> {
  const config = pageConfig();
  const all = config?.extensionConfig as Readonly<Record<string, IOptions>> | undefined;
  const { banner = true, texts = {} } = all?.[NAME] ?? {};
  if (!isVoila(config) || !banner) {
    return;
  }
  // The same file that the widget uses; the wheel puts it beside this one.
  const url = new URL('banner.js', here).href;
  const module = (await import(/* webpackIgnore: true */ url)) as {
    bannerOfPage: typeof bannerOfPage;
  };
  await module.bannerOfPage({
    style: new URL('banner.css', here).href,
    texts,
    connection: () => app.widgetManager?.kernel ?? null,
    connected: app.widgetManagerPromise?.promise
  });
}

const plugin = {
  id: `${NAME}:banner`,
  description: "A banner on Voila's pages when the login, the server or the kernel is gone.",
  autoStart: true,
  // Not awaited: Voila's page must not wait for it, nor fail with it.
  activate: (app: IApp): void =>
    void start(app).catch((reason: unknown) => console.warn(NAME, reason))
};

const page = window as { _JUPYTERLAB?: Record<string, unknown> };
page._JUPYTERLAB ??= {};
page._JUPYTERLAB[NAME] = {
  init: async () => undefined,
  get: async () => () => ({ __esModule: true, default: plugin })
};
