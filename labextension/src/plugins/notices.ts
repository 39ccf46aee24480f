/** Says by notifications that a login ends, is over, or is good again. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator } from '@jupyterlab/translation';

import { Notices } from '../notices.js';
import { ISessionUserModel } from '../tokens.js';
import { followSettings, isOn, LOG_IN, translation } from './settings.js';

export const noticesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-session-user:notices',
  description: 'Notifies when a login ends.',
  autoStart: true,
  requires: [ISessionUserModel],
  optional: [ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: ISessionUserModel,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    const logIn = (): void => void app.commands.execute(LOG_IN);
    // JupyterLab shows nothing of what was said before it was ready.
    void app.restored.then(() => {
      const notices = new Notices({ model, trans: translation(translator), logIn });
      followSettings(registry, settings => (notices.enabled = isOn(settings, 'notifications')));
    });
  }
};
