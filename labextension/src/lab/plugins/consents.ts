/** Notifies of services that give no access token until the user agrees. */
import { followSettings, isOn, plugin } from './plugin.js';

export const consentsPlugin = plugin(
  'jupyter-session-user:consents',
  'Notifies when a service needs consent.',
  ({ app, model, trans, registry }) => {
    app.serviceManager.events.stream.connect((_, event) => {
      if (event.schema_id.includes('/jupyter_session_user/session/') && String(event.action).startsWith('consent_')) {
        void model.refresh(); // an event may be about another login of this user
      }
    });
    let isLoading = false;
    const load = async (): Promise<void> => {
      // Few pages need it, and JupyterLab drops notifications from before it was ready.
      await app.restored;
      const { ConsentNotices } = await import(
        /* webpackChunkName: "later-consents" */ '../consents/index.js'
      );
      const notices = new ConsentNotices(model, trans);
      followSettings(registry, settings => (notices.enabled = isOn(settings, 'notifications')));
    };
    const look = (): void => {
      if (model.consents.length > 0 && !isLoading) {
        isLoading = true;
        void load().catch(console.warn);
      }
    };
    model.consentsChanged.connect(look);
    look();
  }
);
