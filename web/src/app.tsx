import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Suspense, lazy, useEffect, useState } from 'react';
import { Link, Redirect, Route, Switch } from 'wouter';
import { ApiError, get, whenUnauthenticated } from './api/client';
import type { Me } from './api/types';
import { startFeed } from './feed/live';
import { useI18n } from './i18n';
import { JobsPage } from './jobs/page';
import { Login, redeem, takeCode } from './login/login';
import { Overview } from './overview/page';
import { SessionContext } from './session';
import { Shell } from './shell';
import { Questions } from './ui/dialog';
import { Empty, Failure } from './ui/parts';
import { Toasts } from './ui/toast';

// What is not on the way to the first list comes when it is asked for; a job's page, which most go to
// next, when there is nothing else to do.
const jobPage = () => import('./job/page');
const JobPage = lazy(jobPage);
const NewJob = lazy(() => import('./newjob/page'));
const Types = lazy(() => import('./types/page'));
const Queues = lazy(() => import('./queues/page'));
const Docs = lazy(() => import('./docs/page'));
const Settings = lazy(() => import('./settings/page'));

// A login code in the URL is taken before anything else sees it.
const firstCode = takeCode();

export function App() {
  const { t } = useI18n();
  const queries = useQueryClient();
  const [code, setCode] = useState(firstCode);
  const [codeError, setCodeError] = useState<unknown>();
  const me = useQuery({ queryKey: ['me'], queryFn: () => get<Me>('/api/me'), enabled: code === undefined });

  useEffect(() => {
    if (code === undefined) return;
    redeem({ code })
      .then((m) => {
        setCodeError(undefined);
        queries.setQueryData(['me'], m); // it may be known that nobody was logged in
      })
      .catch(setCodeError)
      .finally(() => setCode(undefined));
  }, [code, queries]);

  useEffect(() => {
    const onHash = () => {
      const c = takeCode();
      if (c) setCode(c);
    };
    window.addEventListener('hashchange', onHash);
    whenUnauthenticated(() => queries.setQueryData(['me'], null));
    return () => window.removeEventListener('hashchange', onHash);
  }, [queries]);

  const known = me.data;
  useEffect(() => {
    if (!known) return;
    startFeed(queries);
    const later = setTimeout(() => void jobPage().catch(() => {}), 1000);
    return () => clearTimeout(later);
  }, [known, queries]);

  if (code !== undefined || me.isPending) return <div className="boot" aria-busy="true" />;
  if (known === null || (me.error instanceof ApiError && me.error.problem.status === 401) || codeError) {
    return (
      <Login
        error={codeError}
        onDone={(m) => {
          setCodeError(undefined);
          queries.setQueryData(['me'], m);
        }}
      />
    );
  }
  if (me.error && !known) {
    return (
      <main className="boot">
        <Failure error={me.error} retry={() => void me.refetch()} />
      </main>
    );
  }
  return (
    <SessionContext.Provider value={known ?? null}>
      <Shell>
        <Suspense fallback={<div className="page" aria-busy="true" />}>
          <Switch>
            <Route path="/" component={Overview} />
            <Route path="/jobs" component={JobsPage} />
            <Route path="/jobs/new" component={NewJob} />
            <Route path="/jobs/:id">{(p) => <JobPage key={p.id} id={p.id} />}</Route>
            <Route path="/types" component={Types} />
            <Route path="/queues" component={Queues} />
            <Route path="/settings/:tab?">{(p) => <Settings tab={p.tab} />}</Route>
            <Route path="/api/docs" component={Docs} />
            <Route path="/login">
              <Redirect to="/" replace />
            </Route>
            <Route>
              <main className="page">
                <Empty>
                  {t('notFound')} <Link href="/jobs">{t('jobs')}</Link>
                </Empty>
              </main>
            </Route>
          </Switch>
        </Suspense>
      </Shell>
      <Questions />
      <Toasts />
    </SessionContext.Provider>
  );
}
