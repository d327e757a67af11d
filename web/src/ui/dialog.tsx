import { Button, Modal } from '@mantine/core';
import { useState, useSyncExternalStore, type ReactNode } from 'react';
import { useI18n } from '../i18n';

interface Question {
  title: string;
  body: ReactNode;
  yes: string;
  danger: boolean;
  answer: (yes: boolean) => void;
}

let question: Question | undefined;
const listeners = new Set<() => void>();

function ask(q: Question | undefined): void {
  question = q;
  for (const f of listeners) f();
}

// confirm asks and returns the answer; closing is no.
export function confirm(q: { title: string; body: ReactNode; yes: string; danger?: boolean }): Promise<boolean> {
  question?.answer(false);
  return new Promise((resolve) => {
    ask({
      ...q,
      danger: q.danger ?? false,
      answer: (yes) => {
        ask(undefined);
        resolve(yes);
      },
    });
  });
}

export function Questions() {
  const { t } = useI18n();
  const q = useSyncExternalStore(
    (f) => {
      listeners.add(f);
      return () => listeners.delete(f);
    },
    () => question,
  );
  const [kept, setKept] = useState<Question>();
  if (q && q !== kept) setKept(q);
  return (
    <Dialog opened={q !== undefined} onClose={() => q?.answer(false)} title={kept?.title ?? ''}>
      <div className="dialog-body">{kept?.body}</div>
      <div className="dialog-foot">
        <Button variant="default" onClick={() => q?.answer(false)}>
          {t('cancel')}
        </Button>
        <Button data-autofocus color={kept?.danger ? 'red' : 'indigo'} onClick={() => q?.answer(true)}>
          {kept?.yes}
        </Button>
      </div>
    </Dialog>
  );
}

// Dialog is a modal without what would need inline style elements.
export function Dialog({ opened, onClose, title, children, size }: { opened: boolean; onClose: () => void; title: string; children: ReactNode; size?: string }) {
  const { t } = useI18n();
  return (
    <Modal opened={opened} onClose={onClose} title={title} size={size ?? 'md'} lockScroll={false} closeButtonProps={{ 'aria-label': t('close') }} transitionProps={{ duration: 80 }} centered>
      {children}
    </Modal>
  );
}
