// Package sqlite is the registry in one SQLite file: the default store.Store. DESIGN.md beside the
// parent package says how it works.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"

	modernc "modernc.org/sqlite"

	"github.com/queuemgr/queuemgr/internal/store"
	"github.com/queuemgr/queuemgr/job"
)

// Options of Open.
type Options struct {
	Path string // of the database; its folder must exist
	// OnCommit is called after each commit, in commit order, by the goroutine that writes: it must
	// not block, and not write to the store. Open never calls it. May be nil.
	OnCommit func([]job.Change)
	MinFree  int64 // bytes of free space below which nothing is added; 0 = no floor
	Ballast  int64 // bytes kept in reserve for Commit.Vital; 0 = none
	Log      *slog.Logger
	// ReadOnly opens a registry for reading, beside a daemon or without one; writes are refused.
	ReadOnly bool

	migrations fs.FS // nil = the program's own; tests have later ones
	keepsNoOld bool  // makes no copy before it brings the schema up to date
}

// Store is a registry in a SQLite file.
type Store struct {
	o          Options
	reads      *sql.DB // connections that read few rows: what the engine waits for
	lists      *sql.DB // connections for what may take long, so that it holds up none of reads
	w          *writer // nil when opened for reading only
	disk       *disk
	ring       ring
	counters   counters
	registryID string
	queues     atomic.Pointer[map[string]job.Queue] // never modified, only replaced
	cursor     atomic.Pointer[store.Cursor]
	nextID     atomic.Int64
}

var _ store.Store = (*Store)(nil)

// How a connection is used.
const (
	readWrite = "mode=rw&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=wal_autocheckpoint(4000)&_pragma=journal_size_limit(67108864)&_pragma=cache_size(-16000)&_pragma=temp_store(2)"
	reading = "mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)&_pragma=cache_size(-2000)&_pragma=temp_store(2)"
)

// readers is how many reads run at the same time in each pool; more wait.
const readers = 4

func dsn(path, how string) string {
	return (&url.URL{Scheme: "file", Opaque: strings.ReplaceAll(url.PathEscape(path), "%2F", "/")}).String() + "?" + how
}

func openDB(path, how string) (*sql.DB, error) {
	connector, err := modernc.NewConnector(dsn(path, how))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return sql.OpenDB(connector), nil
}

// Open opens the registry, which is made when there is none. A file that is damaged, or another
// program's, is refused and left as it is. Errors are *job.Error where somebody can mend them.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{o: o, disk: newDisk(&o)}
	if err := s.open(ctx); err != nil {
		return nil, s.explain(errors.Join(err, s.Close()))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	// What every Linux distribution's SQLite does: a commit needs the data and the size on disk,
	// not the time stamps. It is a setting of the whole process.
	if _, err := modernc.Fdatasync(true); err != nil {
		return fmt.Errorf("use fdatasync: %w", err)
	}
	exists, err := inspect(ctx, s.o.Path)
	switch {
	case err != nil:
		return err
	case !exists && s.o.ReadOnly:
		return &job.Error{Code: job.NotFound, Message: fmt.Sprintf("there is no registry %s", s.o.Path),
			Hint: "it is made when the daemon starts for the first time"}
	case !exists:
		err = create(ctx, &s.o)
	default:
		err = migrate(ctx, &s.o)
	}
	if err != nil {
		return err
	}
	for _, pool := range []**sql.DB{&s.reads, &s.lists} {
		if *pool, err = openDB(s.o.Path, reading); err != nil {
			return err
		}
		(*pool).SetMaxOpenConns(readers)
		(*pool).SetMaxIdleConns(readers)
	}
	if s.o.ReadOnly {
		_, err = s.load(ctx)
		return err
	}
	return s.startWriter(ctx)
}

func (s *Store) startWriter(ctx context.Context) error {
	// Opened before anything is read, so that the log of a crash is taken in first.
	c, err := openConn(ctx, dsn(s.o.Path, readWrite))
	if err != nil {
		return err
	}
	st, err := s.load(ctx)
	if err != nil {
		return errors.Join(err, c.close())
	}
	s.disk.restore()
	if err := s.disk.prepareLog(s.o.Path + "-wal"); err != nil {
		s.o.Log.Info("commits take longer than they could: no room is prepared in the registry's log", "error", err)
	}
	s.w = newWriter(s, c, st)
	go s.w.run()
	return nil
}

// load reads what is kept in memory.
func (s *Store) load(ctx context.Context) (state, error) {
	st := state{queues: map[string]job.Queue{}}
	err := s.reads.QueryRowContext(ctx, "SELECT registry_id, next_job, last_seq, epoch, cursor_journal, cursor_boot, cursor_seq FROM registry").
		Scan(&s.registryID, &st.nextJob, &st.seq, &st.epoch, &st.cursor.Journal, &st.cursor.BootID, &st.cursor.Seq)
	if err != nil {
		return st, fmt.Errorf("read the registry's state: %w", err)
	}
	if err := s.loadQueues(ctx, st.queues); err != nil {
		return st, fmt.Errorf("read the queues: %w", err)
	}
	if err := s.loadCounters(ctx); err != nil {
		return st, fmt.Errorf("read the counters: %w", err)
	}
	s.queues.Store(&st.queues)
	s.cursor.Store(&st.cursor)
	s.nextID.Store(st.nextJob)
	s.ring.start(st.seq)
	return st, nil
}

func (s *Store) loadQueues(ctx context.Context, queues map[string]job.Queue) error {
	rows, err := s.reads.QueryContext(ctx, "SELECT doc FROM queues")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var doc []byte
		var q job.Queue
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		if err := json.Unmarshal(doc, &q); err != nil {
			return err
		}
		queues[q.Name] = q
	}
	return rows.Err()
}

func (s *Store) loadCounters(ctx context.Context) error {
	s.counters.n = map[counter]int64{}
	rows, err := s.reads.QueryContext(ctx, "SELECT queue, type, state, n FROM counters WHERE n <> 0")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var k counter
		var n int64
		if err := rows.Scan(&k.queue, &k.typ, &k.state, &n); err != nil {
			return err
		}
		s.counters.n[k] = n
	}
	return rows.Err()
}

// Close waits for the writes that have been handed in, takes the write-ahead log into the database
// and closes it.
func (s *Store) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{s.reads, s.lists} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	if s.w != nil {
		s.w.stop()
		// The last connection to close takes in the log; done here so that a failure is reported.
		_, err := s.w.conn.exec("PRAGMA wal_checkpoint(TRUNCATE)")
		errs = append(errs, err, s.w.conn.close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the registry %s: %w", s.o.Path, err)
	}
	return nil
}
