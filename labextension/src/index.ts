/** The plugins of this extension; each can be disabled by its id. */
import { chipPlugin } from './plugins/chip.js';
import { modelPlugin } from './plugins/model.js';

export { ISessionUserModel } from './tokens.js';
export type { ISessionInfo, IUser } from './tokens.js';

export default [modelPlugin, chipPlugin];
