/** Puts the chip into the top bar, which JupyterLab and Notebook 7 both have. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator } from '@jupyterlab/translation';

import { SessionUserChip } from '../chip.js';
import { ISessionUserModel } from '../tokens.js';
import { followSettings, isOn, LOG_IN, SHOW_DETAILS, translation } from './settings.js';

export const chipPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-session-user:plugin', // also the name of the settings
  description: 'Shows who is signed in, in the top bar.',
  autoStart: true,
  requires: [ISessionUserModel],
  optional: [IToolbarWidgetRegistry, ISettingRegistry, ITranslator],
  activate: (
    { commands }: JupyterFrontEnd,
    model: ISessionUserModel,
    toolbars: IToolbarWidgetRegistry | null,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    // The top bar may be rebuilt when its settings change: the last answer counts for every chip.
    const chips = new Set<SessionUserChip>();
    let enabled = true;
    const options = {
      model,
      trans: translation(translator),
      logIn: () => void commands.execute(LOG_IN),
      showDetails: () => commands.execute(SHOW_DETAILS)
    };
    toolbars?.addFactory('TopBar', 'session-user', () => {
      const chip = new SessionUserChip(options);
      chip.enabled = enabled;
      chips.add(chip);
      chip.disposed.connect(() => chips.delete(chip));
      return chip;
    });
    followSettings(registry, settings => {
      enabled = isOn(settings, 'showChip');
      chips.forEach(chip => (chip.enabled = enabled));
    });
  }
};
