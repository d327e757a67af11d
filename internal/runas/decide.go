package runas

import "slices"

// question is all that the rules look at.
type question struct {
	policy      Policy
	file        string   // of the policy, for errors
	target      *Account // the account to run as
	own         *Account // the submitter's, nil for root, a token, the web and a uid without account
	by          *uint32  // the submitter's uid, nil for a token and the web
	chooser     bool     // the submitter is in may_choose
	daemon      bool     // target is the daemon's account
	firstPerson uint32   // uids below are the system's
}

// root says whether root submitted.
func (q *question) root() bool { return q.by != nil && *q.by == 0 }

// isOwn says whether the target is the submitter's own account. Another name of the same uid is another
// account: its groups and home differ.
func (q *question) isOwn() bool { return q.own != nil && q.own.Name == q.target.Name }

// decide applies the rules; nil means yes.
func (q *question) decide() error {
	t := q.target
	isDefault := t.Name == q.policy.DefaultAccount
	switch {
	case t.UID == noID || t.UID == noID16 || t.GID == noID || t.GID == noID16:
		return errorf(Denied, "account %s has uid %d and gid %d, which are no user's", t.Name, t.UID, t.GID)
	case q.daemon:
		return errorf(Denied, "no job may run as %s: it is the account of the daemon itself", t.Name)
	case q.isOwn(), q.root(), q.chooser:
	case q.by == nil && isDefault:
	case q.by == nil:
		return errorf(Denied, "jobs added with a token or on the web run as %s; %s cannot be asked for", q.policy.DefaultAccount, t.Name)
	case q.own == nil:
		return errorf(Denied, "user %d has no account on this machine and may not run jobs as %s", *q.by, t.Name)
	default:
		return errorf(Denied, "%s may not choose the account of a job: only root and those in may_choose of %s may run jobs as %s",
			q.own.Name, q.file, t.Name)
	}
	switch {
	case slices.Contains(q.policy.Accounts, t.Name):
		return nil
	case t.UID == 0:
		return errorf(Denied, `no job may run as %s (root) unless accounts = ["%s"] stands in %s`, t.Name, t.Name, q.file)
	case q.system(t.UID) && !isDefault:
		return errorf(Denied, `no job may run as %s: it is a system account (uid %d), which would have to be listed in accounts of %s`,
			t.Name, t.UID, q.file)
	}
	return nil
}

// system says whether uid is the system's: below the first of people, nobody, or one of those that
// systemd gives to services while they run.
func (q *question) system(uid uint32) bool {
	const nobody, firstDynamic, lastDynamic = 65534, 61184, 65519
	return uid < q.firstPerson || uid == nobody || firstDynamic <= uid && uid <= lastDynamic
}
