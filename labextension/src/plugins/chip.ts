/** Puts the chip into the top bar, which JupyterLab and Notebook 7 both have. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { SessionUserChip } from '../chip.js';
import { ISessionUserModel } from '../tokens.js';

/** Also the name of the settings, `schema/plugin.json`. */
const PLUGIN_ID = 'jupyter-session-user:plugin';

const TRANSLATION_DOMAIN = 'jupyter_session_user';

/** The last answer counts for every chip: the top bar may be rebuilt when its settings change. */
class Chips {
  constructor(private readonly _options: SessionUserChip.IOptions) {}

  create = (): SessionUserChip => {
    const chip = new SessionUserChip(this._options);
    chip.enabled = this._enabled;
    this._chips.add(chip);
    chip.disposed.connect(() => this._chips.delete(chip));
    return chip;
  };

  set enabled(value: boolean) {
    this._enabled = value;
    this._chips.forEach(chip => (chip.enabled = value));
  }

  private readonly _chips = new Set<SessionUserChip>();
  private _enabled = true;
}

async function followSettings(registry: ISettingRegistry, chips: Chips): Promise<void> {
  const settings = await registry.load(PLUGIN_ID);
  const apply = (): void => {
    chips.enabled = settings.get('showChip').composite !== false;
  };
  settings.changed.connect(apply);
  apply();
}

export const chipPlugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Shows who is signed in, in the top bar.',
  autoStart: true,
  requires: [ISessionUserModel],
  optional: [IToolbarWidgetRegistry, ISettingRegistry, ITranslator],
  activate: (
    _app: JupyterFrontEnd,
    model: ISessionUserModel,
    toolbars: IToolbarWidgetRegistry | null,
    settings: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load(TRANSLATION_DOMAIN);
    const chips = new Chips({ model, trans });
    toolbars?.addFactory('TopBar', 'session-user', chips.create);
    if (settings !== null) {
      followSettings(settings, chips).catch((reason: unknown) => {
        console.warn(`${PLUGIN_ID}: settings not loaded, defaults are used.`, reason);
      });
    }
  }
};
