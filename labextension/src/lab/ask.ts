/** Requests of ours through JupyterLab's connection to the server. */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { type Ask, NO_REDIRECT } from '../shared/client.js';

export function askThrough(serverSettings: ServerConnection.ISettings): Ask {
  // A copy: watchers of the shared settings' answers must not see our own requests.
  const settings = { ...serverSettings };
  return async (path, init) => {
    const url = URLExt.join(settings.baseUrl, path);
    try {
      return await ServerConnection.makeRequest(url, { ...NO_REDIRECT, ...init }, settings);
    } catch (reason) {
      if (reason instanceof ServerConnection.NetworkError) {
        return null;
      }
      throw reason;
    }
  };
}
