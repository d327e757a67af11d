import { Component, type ReactNode } from 'react';
import { chosenLang, translate } from '../i18n';
import type { Key } from '../i18n/en';
import { Plain } from './plain';

// Boundary stands around the whole page: what breaks while it is drawn, or can not be loaded, leaves
// words in place of nothing. It needs nothing of what may be broken.
export class Boundary extends Component<{ children: ReactNode }, { caught?: { error: unknown } }> {
  override state: { caught?: { error: unknown } } = {};

  static getDerivedStateFromError(error: unknown) {
    return { caught: { error } };
  }

  override componentDidMount(): void {
    window.addEventListener('popstate', this.back);
  }

  override componentWillUnmount(): void {
    window.removeEventListener('popstate', this.back);
  }

  // The browser's back leads to another page, which has to be drawn from its beginning.
  private readonly back = () => {
    if (this.state.caught) location.reload();
  };

  override render(): ReactNode {
    const { caught } = this.state;
    if (!caught) return this.props.children;
    const lang = chosenLang();
    const t = (key: Key) => translate(lang, key);
    return (
      <main className="boot broken" lang={lang}>
        <h1>{t('broken')}</h1>
        <div role="alert">{t('broken.about')}</div>
        <pre className="code" tabIndex={0} role="region" aria-label={t('broken.error')} lang="en">
          <Plain text={String(caught.error)} />
        </pre>
        <div className="broken-ways">
          <button type="button" className="act with-text primary" onClick={() => location.reload()}>
            {t('broken.reload')}
          </button>
          {/* Not by the page's own navigation, which has ended. */}
          <a className="act with-text" href="/jobs">
            {t('broken.list')}
          </a>
        </div>
      </main>
    );
  }
}
