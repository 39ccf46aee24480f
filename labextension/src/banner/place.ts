/** Where we are: the server's address, and the kind of this page. */

/** The page configuration of a Jupyter page; null on other pages. */
export type PageConfig = Readonly<Record<string, unknown>> | null;

export interface IPlace {
  /** The server's base URL; null if unknown. */
  readonly base: string | null;
  /** JupyterLab's own requests carry it: with a token, no cookie is needed. */
  readonly token: string;
  /** Whether a reload loses only the user's input. */
  readonly isApp: boolean;
  readonly kernelId: string;
}

export function pageConfig(): PageConfig {
  try {
    const node = document.getElementById('jupyter-config-data');
    return node === null ? null : (JSON.parse(node.textContent ?? '') as PageConfig);
  } catch {
    return null;
  }
}

export function isVoila(config: PageConfig): boolean {
  return config?.appUrl === 'voila/' || document.body?.dataset.voila === 'voila';
}

/**
 * The place of a page.
 *
 * Not by `body[data-base-url]`, which names another address in Voila.
 *
 * @param given - The server's base URL, as Python code knows it; usually empty.
 */
export function placeOf(
  given: string,
  address: URL,
  config: PageConfig,
  isOfVoila: boolean
): IPlace {
  const text = (name: string): string => String(config?.[name] ?? '');
  const cut = /^(.*?\/)(?:voila|panel-preview)\//.exec(address.pathname);
  const base = given || text('baseUrl') || cut?.[1] || '';
  const isKnown = base !== '' && address.protocol.startsWith('http');
  return {
    base: isKnown ? new URL(base.replace(/\/*$/, '/'), address).href : null,
    token: given === '' ? text('token') : '',
    isApp: config === null || isOfVoila,
    kernelId: isOfVoila ? text('kernelId') : ''
  };
}

export function placeHere(given = ''): IPlace {
  const config = pageConfig();
  return placeOf(given, new URL(location.href), config, isVoila(config));
}
