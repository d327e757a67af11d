// Package runas decides which account of the machine a job may run as. An administrator says it in a
// file that only root can write; the runner, which is root, enforces it at each start, and the daemon
// asks the same beforehand, so that who adds a job hears of a refusal at once.
//
// The rules:
//   - A job runs as its submitter's own account, or as the default account when root, a token or the web
//     added it. Only root and who is in may_choose may name another account.
//   - Root and system accounts run jobs only when listed in accounts. The default account, unless it is
//     root, needs no listing.
//   - The daemon's account never runs a job: the job could read the registry.
package runas

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Options say where things are. The zero value of each field is the system's own.
type Options struct {
	Policy  string           // the policy file
	Owner   uint32           // uid that must own it
	Daemon  string           // the daemon's account, which never runs a job
	Etc     string           // folder of passwd, group, nsswitch.conf and login.defs
	Getent  string           // getent(1), for accounts that are not in these files
	Timeout time.Duration    // how long that may take
	Now     func() time.Time // the clock
}

// Places and limits of the system service.
const (
	PolicyFile    = "/etc/queuemgr/run-as.toml"
	DaemonAccount = "queuemgr"

	getentTimeout = 10 * time.Second
	// getentKeeps is how long an answer of the name services holds: a burst of jobs shall not ask for
	// each of them.
	getentKeeps = 10 * time.Second
)

// Checker applies the policy. It reads the policy and the machine's accounts again whenever they have
// changed. Its methods may be called by any number of goroutines.
type Checker struct {
	o      Options
	getent getent

	mu        sync.Mutex // guards the files and asked
	policy    file[Policy]
	passwd    file[accounts]
	group     file[map[string][]uint32]
	login     file[uint32]
	elsewhere file[bool]
	asked     map[string]answer
}

// answer is what the name services said of a key; no account at all is nil.
type answer struct {
	account *Account
	groups  []uint32
	until   time.Time
}

// New returns a checker. No file is read before it is asked something.
func New(o Options) *Checker {
	if o.Policy == "" {
		o.Policy = PolicyFile
	}
	if o.Daemon == "" {
		o.Daemon = DaemonAccount
	}
	if o.Etc == "" {
		o.Etc = "/etc"
	}
	if o.Getent == "" {
		o.Getent = findGetent()
	}
	if o.Timeout == 0 {
		o.Timeout = getentTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Checker{o: o, getent: getent{program: o.Getent, timeout: o.Timeout}, asked: map[string]answer{}}
	c.policy = file[Policy]{path: o.Policy, noFollow: true, missing: DefaultPolicy()}
	c.policy.read = func(f *os.File, info fs.FileInfo) (Policy, error) { return readPolicy(f, info, o.Owner) }
	c.passwd = file[accounts]{path: filepath.Join(o.Etc, "passwd"), read: readAccounts}
	c.group = file[map[string][]uint32]{path: filepath.Join(o.Etc, "group"), read: readGroups}
	c.login = file[uint32]{path: filepath.Join(o.Etc, "login.defs"), missing: defaultUIDMin, read: readUIDMin}
	c.elsewhere = file[bool]{path: filepath.Join(o.Etc, "nsswitch.conf"), read: readElsewhere}
	return c
}

// Choice is the account that a job runs as.
type Choice struct {
	Account
	Own bool // it is the submitter's own
}

// Policy returns what holds now. An error is an *Error of kind Broken.
func (c *Checker) Policy() (Policy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.policy.get(c.o.Now())
	if err != nil {
		return Policy{}, errorf(Broken, "no job can run as any account until the policy is mended: %v", err)
	}
	return p, nil
}

// Daemon returns the daemon's account, its own group alone. An error is an *Error.
func (c *Checker) Daemon(ctx context.Context) (Account, error) {
	a, err := c.find(ctx, c.o.Daemon)
	if err != nil {
		return Account{}, err
	}
	if a == nil {
		return Account{}, errorf(Unknown, "there is no account %s for the daemon on this machine: install the service, "+
			"which creates it, or name another", c.o.Daemon)
	}
	return a.withGroups(nil), nil
}

// Choose returns the account of a job that by added: a uid of this machine, nil for a token or the web.
// name is the account asked for; "" leaves it to the rules. An error is an *Error.
func (c *Checker) Choose(ctx context.Context, name string, by *uint32) (Choice, error) {
	policy, err := c.Policy()
	if err != nil {
		return Choice{}, err
	}
	q := question{policy: policy, by: by}
	if by != nil && !q.root() {
		if q.own, err = c.find(ctx, strconv.FormatUint(uint64(*by), 10)); err != nil {
			return Choice{}, err
		}
	}
	switch {
	case name != "":
	case q.own != nil:
		name = q.own.Name
	case by == nil || q.root():
		name = policy.DefaultAccount
	default:
		return Choice{}, errorf(Unknown, "user %d, who adds the job, has no account on this machine", *by)
	}
	if err := checkName(name); err != nil {
		return Choice{}, errorf(Unknown, "%v", err)
	}
	if q.target, err = c.find(ctx, name); err != nil {
		return Choice{}, err
	}
	if q.target == nil {
		return Choice{}, errorf(Unknown, "there is no account %s on this machine%s", name, c.hint(name, policy))
	}
	if err := c.complete(ctx, &q); err != nil {
		return Choice{}, err
	}
	if err := q.decide(); err != nil {
		return Choice{}, err
	}
	groups, err := c.groups(ctx, q.target)
	if err != nil {
		return Choice{}, err
	}
	return Choice{Account: q.target.withGroups(groups), Own: q.isOwn()}, nil
}

// hint says what may be wrong when an account is not there.
func (c *Checker) hint(name string, p Policy) string {
	if name != p.DefaultAccount {
		return ""
	}
	return "; it is the default account for jobs of root, of tokens and of the web: create it, or set default_account in " + c.o.Policy
}

// complete looks up what else the decision needs.
func (c *Checker) complete(ctx context.Context, q *question) error {
	q.file = c.o.Policy
	daemon, err := c.find(ctx, c.o.Daemon)
	if err != nil {
		return err
	}
	// The name alone is enough, should the account be missing.
	q.daemon = q.target.Name == c.o.Daemon || daemon != nil && daemon.UID == q.target.UID
	c.mu.Lock()
	q.firstPerson, err = c.login.get(c.o.Now())
	c.mu.Unlock()
	if err != nil {
		return errorf(Broken, "read which accounts are the system's own: %v", err)
	}
	if q.own == nil || q.isOwn() {
		return nil
	}
	// The kernel knows numbers only: who has the number of a listed name is the listed user.
	for _, name := range q.policy.MayChoose {
		a, err := c.find(ctx, name)
		if err != nil {
			return err
		}
		if a != nil && a.UID == q.own.UID {
			q.chooser = true
			return nil
		}
	}
	return nil
}

// find looks an account up by name or by uid; nil if there is none.
func (c *Checker) find(ctx context.Context, key string) (*Account, error) {
	c.mu.Lock()
	local, err := c.passwd.get(c.o.Now())
	c.mu.Unlock()
	if err != nil {
		return nil, errorf(Broken, "the machine's accounts cannot be read: %v", err)
	}
	uid, isNumber := uint64(0), false
	if n, err := strconv.ParseUint(key, 10, 32); err == nil {
		uid, isNumber = n, true
	}
	a := local.byName[key]
	if isNumber {
		a = local.byUID[uint32(uid)]
	}
	if a != nil {
		return a, nil
	}
	known, err := c.ask("passwd "+key, func() (answer, error) {
		a, err := c.getent.account(ctx, key)
		return answer{account: a}, err
	})
	if err != nil || known.account == nil {
		return nil, err
	}
	if isNumber && known.account.UID != uint32(uid) {
		return nil, errorf(Unavailable, "the system's accounts answered %s (uid %d) when asked for uid %d",
			known.account.Name, known.account.UID, uid)
	}
	return known.account, nil
}

// groups returns the supplementary groups of a.
func (c *Checker) groups(ctx context.Context, a *Account) ([]uint32, error) {
	c.mu.Lock()
	now := c.o.Now()
	local, err := c.passwd.get(now)
	members, gerr := c.group.get(now)
	elsewhere, nerr := c.elsewhere.get(now)
	c.mu.Unlock()
	if err := errors.Join(err, gerr, nerr); err != nil {
		return nil, errorf(Broken, "the machine's groups cannot be read: %v", err)
	}
	if local.byName[a.Name] != nil && !elsewhere {
		return members[a.Name], nil
	}
	more, err := c.ask("initgroups "+a.Name, func() (answer, error) {
		groups, err := c.getent.groups(ctx, a.Name)
		return answer{groups: groups}, err
	})
	return slices.Concat(members[a.Name], more.groups), err
}

// ask returns a known answer of the name services or asks them. What failed is not kept.
func (c *Checker) ask(key string, ask func() (answer, error)) (answer, error) {
	now := c.o.Now()
	c.mu.Lock()
	known, ok := c.asked[key]
	c.mu.Unlock()
	if ok && now.Before(known.until) {
		return known, nil
	}
	fresh, err := ask()
	if err != nil {
		return answer{}, err
	}
	fresh.until = now.Add(getentKeeps)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.asked) >= maxAnswers {
		clear(c.asked) // somebody asks for names that come to mind
	}
	c.asked[key] = fresh
	return fresh, nil
}

// maxAnswers bounds how many answers are kept.
const maxAnswers = 10_000
