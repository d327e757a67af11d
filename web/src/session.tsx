import { createContext, useContext } from 'react';
import type { Me, Role } from './api/types';

export const SessionContext = createContext<Me | null>(null);

const rank: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

export function useMe(): Me {
  const me = useContext(SessionContext);
  if (!me) throw new Error('useMe outside of a session');
  return me;
}

// useMay reports whether the one who is logged in has at least this role. What it may not do is not shown.
export function useMay(role: Role): boolean {
  return rank[useMe().role] >= rank[role];
}
