/** What all plugins share: the settings, `schema/plugin.json`, the translations, the commands. */
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { type ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';

export const PLUGIN_ID = 'jupyter-session-user:plugin';

export const LOG_IN = 'jupyter-session-user:log-in-again';
export const SHOW_DETAILS = 'jupyter-session-user:show-details';

export function translation(translator: ITranslator | null): TranslationBundle {
  return (translator ?? nullTranslator).load('jupyter_session_user');
}

/** Call `apply` with the settings, now and whenever they change; without a registry never. */
export function followSettings(
  registry: ISettingRegistry | null,
  apply: (settings: ISettingRegistry.ISettings) => void
): void {
  registry
    ?.load(PLUGIN_ID)
    .then(settings => {
      settings.changed.connect(apply);
      apply(settings);
    })
    .catch((reason: unknown) => console.warn(PLUGIN_ID, reason));
}

export function isOn(settings: ISettingRegistry.ISettings, name: string): boolean {
  return settings.get(name).composite !== false;
}

/** The schema sees to it that there is one. */
export function numberOf(settings: ISettingRegistry.ISettings, name: string): number {
  return Number(settings.get(name).composite);
}
