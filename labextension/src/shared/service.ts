/** The name of a service in a text. Pure. */

/** How long a service's name is shown; its text must fit into a notification. */
const MAX_SERVICE = 40;

export function shortService(service: string): string {
  return service.length > MAX_SERVICE ? `${service.slice(0, MAX_SERVICE - 1)}…` : service;
}
