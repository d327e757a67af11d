import { MantineProvider, createTheme } from '@mantine/core';
import '@mantine/core/styles.css';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { ApiError } from './api/client';
import { I18nProvider } from './i18n';
import { Boundary } from './ui/boundary';
import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/jobs.css';
import './styles/job.css';
import 'virtual:ansi.css';
import './styles/log.css';
import './styles/overview.css';
import './styles/forms.css';
import './styles/types.css';
import './styles/docs.css';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Infinity, // the feed says what is stale
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      networkMode: 'always', // the daemon may be on this machine, which needs no network
      retry: (n, e) => e instanceof ApiError && e.code === 'unreachable' && n < 2,
    },
  },
});

const theme = createTheme({ primaryColor: 'indigo', defaultRadius: 'sm', cursorType: 'pointer' });

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <Boundary>
      {/* Mantine's variables are in its style sheet and tokens.css: nothing writes style elements. */}
      <MantineProvider theme={theme} withCssVariables={false} withGlobalClasses={false} colorSchemeManager={scheme()} defaultColorScheme="auto">
        <QueryClientProvider client={queries}>
          <I18nProvider>
            <App />
          </I18nProvider>
        </QueryClientProvider>
      </MantineProvider>
    </Boundary>,
  );
}

// scheme keeps the chosen colours where scheme.js finds them before the first paint.
function scheme() {
  const key = 'queuemgr.scheme';
  return {
    get: (fallback: 'light' | 'dark' | 'auto') => {
      const s = localStorage.getItem(key);
      return s === 'light' || s === 'dark' ? s : fallback;
    },
    set: (s: string) => (s === 'auto' ? localStorage.removeItem(key) : localStorage.setItem(key, s)),
    subscribe: () => {},
    unsubscribe: () => {},
    clear: () => localStorage.removeItem(key),
  };
}
