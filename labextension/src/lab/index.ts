/** The plugins of this extension; each can be disabled by its id. */
import css from './css.js';
import { agentsPlugin } from './plugins/agents.js';
import { chipPlugin } from './plugins/chip.js';
import { commandsPlugin } from './plugins/commands.js';
import { consentsPlugin } from './plugins/consents.js';
import { kernelsPlugin } from './plugins/kernels.js';
import { modelPlugin } from './plugins/model.js';
import { noticesPlugin } from './plugins/notices.js';
import { runsPlugin } from './plugins/runs.js';
import { savingPlugin } from './plugins/saving.js';
import { sessionsPlugin } from './plugins/sessions.js';

export { ISessionUserModel } from './tokens.js';
export type { ISessionInfo, IUser, LoginState } from '../shared/types.js';
export type { IReturn } from './tokens.js';

// The style modules of JupyterLab's builder bring a loader that is four times as large as our style.
document.head.append(Object.assign(document.createElement('style'), { textContent: css }));

export default [
  modelPlugin,
  commandsPlugin,
  kernelsPlugin,
  noticesPlugin,
  consentsPlugin,
  runsPlugin,
  savingPlugin,
  agentsPlugin,
  sessionsPlugin,
  chipPlugin
];
