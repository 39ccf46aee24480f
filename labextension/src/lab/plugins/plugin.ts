/** Shared by all plugins: what they need, the settings, `schema/plugin.json`, the commands. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';

import { ISessionUserModel } from '../tokens.js';

const PLUGIN_ID = 'jupyter-session-user:plugin';

export const LOG_IN = 'jupyter-session-user:log-in-again';
export const SHOW_DETAILS = 'jupyter-session-user:show-details';
export const LOG_OUT = 'jupyter-session-user:log-out';
export const SHOW_AGENTS = 'jupyter-session-user:show-agents';
export const SHOW_SESSIONS = 'jupyter-session-user:show-sessions';
export const LOG_OUT_EVERYWHERE = 'jupyter-session-user:log-out-everywhere';

/** The name of Notebook 7's application. */
export const NOTEBOOK = 'Jupyter Notebook';

export type Commands = JupyterFrontEnd['commands'];

/** What a plugin gets: the parts of JupyterLab that are missing are null. */
export interface IContext {
  readonly app: JupyterFrontEnd;
  readonly model: ISessionUserModel;
  readonly trans: TranslationBundle;
  readonly registry: ISettingRegistry | null;
  readonly palette: ICommandPalette | null;
  readonly toolbars: IToolbarWidgetRegistry | null;
}

/** A plugin that shows something of the model. */
export function plugin(
  id: string,
  description: string,
  activate: (context: IContext) => void
): JupyterFrontEndPlugin<void> {
  return {
    id,
    description,
    autoStart: true,
    requires: [ISessionUserModel],
    optional: [ITranslator, ISettingRegistry, ICommandPalette, IToolbarWidgetRegistry],
    activate: (app, model, translator: ITranslator | null, registry, palette, toolbars) => {
      const trans = (translator ?? nullTranslator).load('jupyter_session_user');
      activate({ app, model, trans, registry, palette, toolbars });
    }
  };
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

/** The schema guarantees a number. */
export function numberOf(settings: ISettingRegistry.ISettings, name: string): number {
  return Number(settings.get(name).composite);
}
