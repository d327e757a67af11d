package config

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// setting describes one setting: this table is the only place that knows a setting's name,
// meaning, default and range.
type setting struct {
	key      string            // with its table: "retention.failed"
	about    string            // one line for the example file
	field    func(*Config) any // pointer to the value
	initial  func(*Config) any // default, of the pointer's type
	min, max int64             // of numbers; of durations in seconds
	size     bool              // an int64 of bytes
	forever  bool              // a duration of which 0 means no end
	flag     bool              // also a flag of `daemon start`
	restart  bool              // takes effect only when the daemon is started again
	empty    bool              // a text that may be empty: so may its variable be
	// read checks a text that is no path and returns the value; nil = it is a path.
	read func(word string) (string, error)
}

// day is in seconds.
const day = 24 * 60 * 60

var settings = []setting{
	{key: "registry_path", restart: true, about: "readable journal of the registry, one JSON object a line; relative to the home folder",
		field:   func(c *Config) any { return &c.RegistryPath },
		initial: func(c *Config) any { return c.Paths.Lib + "/registry.jsonl" }},
	{key: "proc_dir", restart: true, about: "folder that holds proc/, where each running job has a folder; best on tmpfs",
		field:   func(c *Config) any { return &c.ProcDir },
		initial: func(c *Config) any { return c.Paths.Run }},
	{key: "types_dir", restart: true, about: "folder with job types of your own, one or more in each *.toml; read again by a reload",
		field:   func(c *Config) any { return &c.TypesDir },
		initial: func(c *Config) any { return filepath.Join(filepath.Dir(c.Paths.Config), "types.d") }},
	{key: "shutdown_timeout", about: `how long jobs get to end when the service stops; seconds, or "1m30s"`,
		field: func(c *Config) any { return &c.ShutdownTimeout }, max: day, flag: true,
		initial: func(*Config) any { return 30 * time.Second }},
	{key: "cleanup_interval", about: "how often retention is applied",
		field: func(c *Config) any { return &c.CleanupInterval }, min: 1, max: 7 * day,
		initial: func(*Config) any { return 300 * time.Second }},
	{key: "max_concurrent_jobs", about: "most jobs that run at once, over all queues",
		field: func(c *Config) any { return &c.MaxConcurrentJobs }, min: 1, max: 100_000, flag: true,
		initial: func(*Config) any { return int64(50) }},
	{key: "max_retained_terminal_jobs", about: "most ended jobs that stay on record, the oldest going first; 0 = no limit",
		field: func(c *Config) any { return &c.MaxRetainedTerminalJobs }, max: 1e12,
		initial: func(*Config) any { return int64(0) }},
	{key: "max_queue_size", about: "most waiting jobs; further ones are refused; 0 = no limit",
		field: func(c *Config) any { return &c.MaxQueueSize }, max: 1e12,
		initial: func(*Config) any { return int64(0) }},
	{key: "min_free_space", restart: true, about: "no job is added when the registry's disk has less room than this",
		field: func(c *Config) any { return &c.MinFreeSpace }, max: 1 << 50, size: true,
		initial: func(*Config) any { return int64(64 << 20) }},
	{key: "node", restart: true, about: "this machine's name in job records",
		field: func(c *Config) any { return &c.Node }, read: func(word string) (string, error) { return word, nil },
		initial: func(*Config) any { return hostname() }},
	{key: "log_level", about: "least weight of what daemon.log tells: debug, info, warn or error",
		field: func(c *Config) any { return &c.LogLevel }, flag: true,
		initial: func(*Config) any { return slog.LevelInfo }},

	{key: "retention.completed", about: `how long completed jobs stay on record with their logs, as "30d"; 0 = for ever`,
		field: func(c *Config) any { return &c.Retention.Completed }, max: 36500 * day, forever: true},
	{key: "retention.failed", about: "the same for failed and skipped jobs",
		field: func(c *Config) any { return &c.Retention.Failed }, max: 36500 * day, forever: true},
	{key: "retention.stopped", about: "the same for stopped jobs",
		field: func(c *Config) any { return &c.Retention.Stopped }, max: 36500 * day, forever: true},
	{key: "retention.deleted", about: "the same for deleted jobs",
		field: func(c *Config) any { return &c.Retention.Deleted }, max: 36500 * day, forever: true},

	{key: "access.operators", about: "users who may also start, stop, hold and delete others' jobs, read their output and manage queues",
		field: func(c *Config) any { return &c.Operators }},

	{key: "web.listen", restart: true, about: `where the page and the API are served, ADDRESS:PORT; port 0 = any that is free, "" = nowhere`,
		field: func(c *Config) any { return &c.Web.Listen }, empty: true, read: readListen,
		initial: func(*Config) any { return "127.0.0.1:5000" }},
	{key: "web.hosts", about: "names by which browsers may ask for the page, beside the machine's own",
		field: func(c *Config) any { return &c.Web.Hosts }},
	{key: "web.tls", restart: true, about: `"auto" = encrypt with a certificate of the service's own, whose fingerprint queuemgr web shows`,
		field: func(c *Config) any { return &c.Web.TLS }, empty: true, read: readTLS},
	{key: "web.tls_cert", restart: true, about: "file with the certificate and what it is signed with, PEM; read again by a reload",
		field: func(c *Config) any { return &c.Web.TLSCert }, empty: true},
	{key: "web.tls_key", restart: true, about: "file with its key",
		field: func(c *Config) any { return &c.Web.TLSKey }, empty: true},
	{key: "web.behind_proxy", restart: true, about: "whether a proxy that speaks TLS is in front and says in X-Forwarded-For from where a request comes",
		field: func(c *Config) any { return &c.Web.BehindProxy }},
}

// typeLimits is the one table whose keys are free: job types.
const typeLimits = "type_limits"

const typeLimitsAbout = `how many jobs of a type may be on record: ended ones go, oldest first, to make room,
# else the addition is refused; as variable: QUEUEMGR_TYPE_LIMITS="command=1000,shell=500"`

// tables are those whose keys are settings.
var tables = []string{"retention", "access", "web"}

// maxTypeLimit bounds a type's limit.
const maxTypeLimit = int64(1e12)

// find returns the setting called key, nil for none.
func find(key string) *setting {
	for i := range settings {
		if settings[i].key == key {
			return &settings[i]
		}
	}
	return nil
}

// names lists every setting's key, and the tables.
func names() []string {
	list := append(slices.Clone(tables), typeLimits, hooksKey)
	for i := range settings {
		list = append(list, settings[i].key)
	}
	return list
}

// Variable returns the name of the environment variable that sets key.
func Variable(key string) string {
	return "QUEUEMGR_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Flag is a setting that `daemon start` also takes as a flag.
type Flag struct {
	Key   string // of the setting
	Name  string // of the flag, without --
	About string
}

// Flags returns the settings that are flags too.
func Flags() []Flag {
	var flags []Flag
	for i := range settings {
		if s := &settings[i]; s.flag {
			flags = append(flags, Flag{Key: s.key, Name: flagName(s.key), About: s.about})
		}
	}
	return flags
}

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }
