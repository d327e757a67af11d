package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/queuemgr/queuemgr/internal/regular"
	"github.com/queuemgr/queuemgr/job"
)

// Config is the settings of one service.
type Config struct {
	Paths Paths
	File  string // the settings file that was read, "" for none

	PIDFile                 string        // where the daemon writes its process number
	RegistryPath            string        // of registry.jsonl
	ProcDir                 string        // holds proc/
	TypesDir                string        // files of job types
	ShutdownTimeout         time.Duration //
	CleanupInterval         time.Duration //
	MaxConcurrentJobs       int64         //
	MaxRetainedTerminalJobs int64         // 0 = no limit
	MaxQueueSize            int64         // waiting jobs; 0 = no limit
	MinFreeSpace            int64         // bytes
	Node                    string        //
	LogLevel                slog.Level    //
	Retention               Retention     //
	Operators               []string      // users who may manage others' jobs, and queues
	TypeLimits              map[string]int64
	Web                     Web
	Hooks                   []Hook // in the order of the file

	origins map[string]string // by key; absent = default
}

// Retention is how long ended jobs stay on record, by how they ended; 0 = for ever.
type Retention struct {
	Completed time.Duration
	Failed    time.Duration // skipped jobs too
	Stopped   time.Duration
	Deleted   time.Duration
}

// Sources is where settings come from, the strongest last.
type Sources struct {
	Home    string            // the flag --home, "" = not given
	PIDFile string            // the flag --pidfile, "" = daemon.pid of the home
	File    string            // the flag --config, "" = config.toml of the home, which need not exist
	Environ []string          // NAME=VALUE
	Flags   map[string]string // by setting key, only those that were given
	Use     Use
}

// Load reads the settings. Precedence: flag, variable, file, default. Errors: job.Invalid for a key
// or value that is not allowed, with the place and what is allowed; job.NotFound for a File that
// does not exist.
func Load(s Sources) (*Config, error) {
	paths, err := FindPaths(s.Home, s.Environ, s.Use)
	if err != nil {
		return nil, err
	}
	return LoadAt(paths, s)
}

// LoadAt is Load for places that are known already.
func LoadAt(paths Paths, s Sources) (_ *Config, err error) {
	c := Defaults(paths)
	if s.PIDFile != "" {
		if c.PIDFile, err = filepath.Abs(s.PIDFile); err != nil {
			return nil, fmt.Errorf("making the pid file's path absolute: %w", err)
		}
	}
	if err := c.readFile(s.File); err != nil {
		return nil, err
	}
	if err := c.readEnviron(s.Environ); err != nil {
		return nil, err
	}
	for i := range settings {
		set := &settings[i]
		if text, given := s.Flags[set.key]; given {
			if err := set.set(c, text, true); err != nil {
				return nil, located("--"+flagName(set.key), set.key, 0, err)
			}
			c.origins[set.key] = "--" + flagName(set.key)
		}
	}
	if err := c.checkWeb(); err != nil {
		return nil, err
	}
	return c, c.checkRegistryPath()
}

// checkRegistryPath refuses a registry_path that is another file of the service: what is found
// there is moved away and written anew.
func (c *Config) checkRegistryPath() error {
	p, db := c.Paths, c.Paths.Database()
	journal, err := os.Stat(c.RegistryPath)
	for _, taken := range []string{db, db + "-wal", db + "-shm", db + "-journal", db + "-ballast", p.RegistryLock(), p.RunnerJournal(),
		p.RunnerLock(), p.RunnerSocket(), p.NotifySocket(), p.WebCertificate(), p.Socket(), p.PIDFile(), c.PIDFile, p.DaemonLog(), p.RunnerLog(), p.JobLogs(), p.Config, c.File} {
		same := filepath.Clean(c.RegistryPath) == taken
		if other, otherErr := os.Stat(taken); err == nil && otherErr == nil {
			same = same || os.SameFile(journal, other) // by another name: a link, or a folder's
		}
		if same {
			return &job.Error{Code: job.Invalid, Field: "registry_path", Message: fmt.Sprintf("registry_path is %s, which the service needs for something else", c.RegistryPath),
				Hint: fmt.Sprintf("name a file of its own, as %s; it was set by %s", filepath.Join(p.Lib, "registry.jsonl"), c.origins["registry_path"])}
		}
	}
	return nil
}

// Defaults returns the settings of a service that has none of its own.
func Defaults(paths Paths) *Config {
	c := &Config{Paths: paths, PIDFile: paths.PIDFile(), TypeLimits: map[string]int64{}, origins: map[string]string{}}
	for i := range settings {
		if s := &settings[i]; s.initial != nil {
			reflect.ValueOf(s.field(c)).Elem().Set(reflect.ValueOf(s.initial(c)))
		}
	}
	return c
}

// readFile reads the settings file: name, or the home's own, which may be missing.
func (c *Config) readFile(name string) error {
	given := name != ""
	if !given {
		name = c.Paths.Config
	}
	name, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("finding the settings file: %w", err)
	}
	data, err := regular.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist) && !given:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("the settings file %s does not exist", name),
			Hint: "give the file that --config shall read, or leave --config out"}
	case errors.Is(err, os.ErrPermission):
		return &job.Error{Code: job.Forbidden, Message: fmt.Sprintf("the settings file %s may not be read", name),
			Hint: "only who runs the service reads it: sudo, or a --home of your own", Err: err}
	case errors.Is(err, regular.ErrKind):
		return &job.Error{Code: job.Invalid, Message: fmt.Sprintf("the settings file %s is no regular file", name),
			Hint: "move it away, and write the settings into a file of that name", Err: err}
	case err != nil:
		return fmt.Errorf("reading the settings file: %w", err)
	}
	c.File = name
	return c.parse(name, data)
}

// readEnviron reads the QUEUEMGR_ variables. An empty one counts as unset, but where a setting may
// be empty.
func (c *Config) readEnviron(environ []string) error {
	for i := range settings {
		s := &settings[i]
		name := Variable(s.key)
		text, given := lookupGiven(environ, name)
		if text == "" && !(given && s.empty) {
			continue
		}
		if err := s.set(c, text, true); err != nil {
			return located(name, s.key, 0, err)
		}
		c.origins[s.key] = name
	}
	name := Variable(typeLimits)
	if text := lookup(environ, name); text != "" {
		limits, err := parseTypeLimits(text)
		if err != nil {
			return located(name, typeLimits, 0, err)
		}
		c.TypeLimits = limits
		for limit := range limits {
			c.origins[typeLimits+"."+limit] = name
		}
	}
	return checkVariables(environ)
}

// checkVariables refuses a variable that is nearly, but not, a setting's: it would be passed over
// in silence. Others that begin with QUEUEMGR_ have meanings of their own, in jobs for example.
func checkVariables(environ []string) error {
	known := map[string]bool{Variable(typeLimits): true}
	for i := range settings {
		known[Variable(settings[i].key)] = true
	}
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "QUEUEMGR_") || known[name] {
			continue
		}
		for right := range maps.Keys(known) {
			if d := distance(name, right); d <= 2 && d*4 <= len(right)-len("QUEUEMGR_") {
				return &job.Error{Code: job.Invalid, Field: name, Message: fmt.Sprintf("unknown environment variable %s", name),
					Hint: fmt.Sprintf("did you mean %s?", right)}
			}
		}
	}
	return nil
}

// located says where err is: a variable, a flag, or file:line:column.
func located(place, key string, line int, err error) error {
	e := &job.Error{Code: job.Invalid, Field: key, Line: line, Err: err}
	if v := (*valueError)(nil); errors.As(err, &v) {
		e.Message, e.Hint = fmt.Sprintf("%s: %s: %s", place, key, v.message), v.allowed
	} else {
		e.Message = fmt.Sprintf("%s: %s: %v", place, key, err)
	}
	return e
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "localhost"
	}
	return name
}
