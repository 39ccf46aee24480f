/** Saves that fail because the login is over: JupyterLab would show an error for each of them. */
import { isRefusal } from '../shared/client.js';

interface IOptions {
  readonly content?: boolean;
}

/** The part of JupyterLab's contents manager that matters here. */
export interface IContents<M, G extends IOptions, S> {
  get(path: string, options?: G): Promise<M>;
  save(path: string, options?: S): Promise<M>;
}

/** By this name, JupyterLab takes a save for one that the user has cancelled, and says nothing. */
export class SaveCancelled extends Error {
  override readonly name = 'ModalCancelError';
}

/** Counts the saves that it has cancelled. */
export class QuietSaves {
  /** @param _isOver - Whether the login is over, by the server's latest word. */
  constructor(private readonly _isOver: () => Promise<boolean>) {}

  cancelled = 0;

  wrap<M, G extends IOptions, S>(contents: IContents<M, G, S>): void {
    const get = contents.get.bind(contents);
    const save = contents.save.bind(contents);
    contents.save = (path, options) => this._quiet(save(path, options));
    // A save first asks whether the file has changed meanwhile.
    contents.get = (path, options) =>
      options?.content === false ? this._quiet(get(path, options)) : get(path, options);
  }

  private async _quiet<M>(answer: Promise<M>): Promise<M> {
    try {
      return await answer;
    } catch (reason) {
      const { response } = reason as { response?: Response };
      if (response !== undefined && isRefusal(response) && (await this._isOver())) {
        this.cancelled += 1;
        throw new SaveCancelled('The login is over');
      }
      throw reason;
    }
  }
}
