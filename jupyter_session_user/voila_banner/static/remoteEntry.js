/**
 * Brings the banner to Voila's pages, as a prebuilt extension of JupyterLab.
 *
 * Written by hand: a container that asks for no shared module loads with every release and
 * template of Voila, where most extensions fail. JupyterLab and Notebook 7 load it too; there
 * it does nothing.
 */
(() => {
  "use strict";
  const NAME = "jupyter-session-user-voila";
  const here = document.currentScript.src;

  function pageConfig() {
    try {
      return JSON.parse(document.getElementById("jupyter-config-data").textContent);
    } catch {
      return {};
    }
  }

  async function start(app) {
    const config = pageConfig();
    if (config.appUrl !== "voila/" && document.body.dataset.voila !== "voila") {
      return;
    }
    const { banner = true, texts = {} } = config.extensionConfig?.[NAME] ?? {};
    if (!banner) {
      return;
    }
    // The same file that the widget uses; the wheel puts it beside this one.
    const { bannerOfPage } = await import(new URL("banner.js", here).href);
    await bannerOfPage({
      style: new URL("banner.css", here).href,
      texts,
      connection: () => app.widgetManager?.kernel ?? null,
      connected: app.widgetManagerPromise?.promise,
    });
  }

  const plugin = {
    id: `${NAME}:banner`,
    description: "A banner on Voila's pages when the login, the server or the kernel is gone.",
    autoStart: true,
    // Not awaited: Voila's page must not wait for it, nor fail with it.
    activate: app => void start(app).catch(reason => console.warn(NAME, reason)),
  };
  const containers = (window._JUPYTERLAB = window._JUPYTERLAB || {});
  containers[NAME] = {
    init: async () => undefined,
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
