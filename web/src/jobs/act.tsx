import { send } from '../api/client';
import type { Action, ActResult, Filter, Job } from '../api/types';
import { useI18n } from '../i18n';
import { confirm } from '../ui/dialog';
import { toast, toastError } from '../ui/toast';
import { ranges } from './query';

type Result = ActResult & { count?: number };
const countOf = (r: Result) => r.count ?? r.done.length;

// What takes an action back. A stopped job can be run again, but that is no way back; nothing brings
// a deleted one back.
const inverse: Partial<Record<Action, Action>> = { hold: 'start' };

const act = (action: Action, filter: Filter, dry_run: boolean) => send<Result>('POST', '/api/jobs/actions', { action, filter, dry_run });

// useAct returns what does one action to the jobs of a filter: it asks how many they are, asks the
// person where it can't be taken back, and offers to take it back where it can.
export function useAct(): (action: Action, filter: Filter) => Promise<boolean> {
  const { t } = useI18n();
  const run = async (action: Action, filter: Filter): Promise<boolean> => {
    try {
      const dry = await act(action, filter, true);
      const n = countOf(dry);
      if (n === 0) {
        toast(t(`act.${action}.none`), { bad: true });
        return false;
      }
      const ask = action === 'stop' || action === 'delete' || n > 1;
      if (ask) {
        const body = (
          <>
            <p>{t(`act.${action}.about`)}</p>
            {dry.skipped > 0 && <p className="dim">{t('act.skipped', { n: dry.skipped })}</p>}
          </>
        );
        const yes = await confirm({ title: t(`act.${action}.ask`, { n }), body, yes: t(`act.${action}`), danger: action === 'delete' || action === 'stop' });
        if (!yes) return false;
      }
      const done = await act(action, filter, false);
      const back = inverse[action];
      const undo = back && done.done.length > 0 ? () => void act(back, { ids: ranges(done.done) }, false).catch(toastError) : undefined;
      toast(t(`act.${action}.done`, { n: countOf(done) }), undo ? { undo } : {});
      for (const f of done.failed ?? []) toast(f.error.message, { bad: true, hint: f.error.hint });
      return true;
    } catch (e) {
      toastError(e);
      return false;
    }
  };
  return run;
}

// useActOne is the same for one job, which needs no count.
export function useActOne(): (action: Action, j: Pick<Job, 'id' | 'state'>) => Promise<boolean> {
  const { t } = useI18n();
  return async (action, j) => {
    try {
      if (action === 'delete') {
        const yes = await confirm({ title: t('act.delete.one', { id: String(j.id) }), body: <p>{t('act.delete.about')}</p>, yes: t('act.delete'), danger: true });
        if (!yes) return false;
      }
      await send('POST', `/api/jobs/${j.id}/${action}`, {});
      const back: Action | undefined = action === 'start' && j.state === 'held' ? 'hold' : inverse[action];
      const undo = back ? () => void send('POST', `/api/jobs/${j.id}/${back}`, {}).catch(toastError) : undefined;
      toast(t(`act.${action}.done`, { n: 1 }), undo ? { undo } : {});
      return true;
    } catch (e) {
      toastError(e);
      return false;
    }
  };
}
