import type { Key } from '../i18n/en';
import { useI18n } from '../i18n';
import { Dialog } from './dialog';

const groups: readonly { title: Key; keys: readonly (readonly [string, Key])[] }[] = [
  {
    title: 'keys.anywhere',
    keys: [
      ['/', 'keys.search'],
      ['g o', 'keys.overview'],
      ['g j', 'keys.jobs'],
      ['g q', 'keys.queues'],
      ['g t', 'keys.types'],
      ['g s', 'keys.settings'],
      ['n', 'keys.new'],
      ['?', 'keys.help'],
    ],
  },
  {
    title: 'keys.list',
    keys: [
      ['j', 'keys.down'],
      ['k', 'keys.up'],
      ['Enter', 'keys.open'],
      ['x', 'keys.select'],
      ['a', 'keys.all'],
      ['Esc', 'keys.none'],
      ['r', 'keys.start'],
      ['s', 'keys.stop'],
      ['h', 'keys.hold'],
      ['d', 'keys.delete'],
    ],
  },
  {
    title: 'keys.job',
    keys: [
      ['r', 'keys.start'],
      ['s', 'keys.stop'],
      ['h', 'keys.hold'],
      ['d', 'keys.delete'],
      ['c', 'keys.again'],
      ['f', 'keys.follow'],
      ['w', 'keys.wrap'],
      ['e', 'keys.error'],
      ['E', 'keys.firstError'],
      ['l', 'keys.logsearch'],
      ['u', 'keys.back'],
    ],
  },
];

export function CheatSheet({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useI18n();
  return (
    <Dialog opened={opened} onClose={onClose} title={t('keys')} size="lg">
      <div className="cheats">
        {groups.map((g) => (
          <section key={g.title}>
            <h3>{t(g.title)}</h3>
            <dl>
              {g.keys.map(([key, about]) => (
                <div key={key + about}>
                  <dt>
                    {key.split(' ').map((k) => (
                      <kbd key={k}>{k}</kbd>
                    ))}
                  </dt>
                  <dd>{t(about)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
