/** The plugins of this extension; each can be disabled by its id. */
import { chipPlugin } from './plugins/chip.js';
import { commandsPlugin } from './plugins/commands.js';
import { kernelsPlugin } from './plugins/kernels.js';
import { modelPlugin } from './plugins/model.js';
import { noticesPlugin } from './plugins/notices.js';

export { ISessionUserModel } from './tokens.js';
export type { IReturn, ISessionInfo, IUser, LoginState } from './tokens.js';

export default [modelPlugin, commandsPlugin, kernelsPlugin, noticesPlugin, chipPlugin];
