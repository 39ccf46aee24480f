/** What `GET api/session-user/me` answers; each call gives a fresh copy to spoil. */
export function answer(changes = {}, userChanges = {}) {
  return {
    id: 'session-1',
    user: {
      username: 'ada',
      name: 'Ada Lovelace',
      display_name: 'Ada King Lovelace',
      initials: 'AL',
      avatar_url: null,
      color: null,
      groups: ['analysts'],
      admin: false,
      is_anonymous: false,
      ...userChanges
    },
    kernel_id: null,
    source: 'jupyter_server',
    verified: true,
    authenticated_at: '2026-11-22T05:56:00+00:00',
    last_seen_at: '2026-11-22T05:57:00+00:00',
    expires_at: null,
    ...changes
  };
}
