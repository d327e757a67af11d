package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/queuemgr/queuemgr/internal/store"
)

// minuteOf returns the number of the minute that holds t, since 1970.
func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// Minutes implements store.Stats.
func (s *Store) Minutes(ctx context.Context, since time.Time) ([]store.Minute, error) {
	first := int64(0)
	if !since.IsZero() {
		first = minuteOf(since.Add(time.Minute - 1))
	}
	return readAll(ctx, s, "the statistics", func(rows *sql.Rows, m *store.Minute) (err error) {
		var at int64
		var waits []byte
		if err := rows.Scan(&at, &m.Completed, &m.Failed, &m.Stopped, &waits); err != nil {
			return err
		}
		m.At = time.Unix(at*60, 0).UTC()
		m.Waits, err = readWaits(waits)
		return err
	}, "SELECT at, completed, failed, stopped, waits FROM stats WHERE at >= ? ORDER BY at", first)
}

// PutMinutes implements store.Stats.
func (s *Store) PutMinutes(ctx context.Context, minutes []store.Minute, since time.Time) error {
	minutes = slices.Clone(minutes)
	return s.write(ctx, &accessOp{opBase: opBase{lane: adding, grows: true, size: len(minutes)}, do: func(x *tx) error {
		for i := range minutes {
			m := &minutes[i]
			_, err := x.conn.exec("INSERT OR REPLACE INTO stats (at, completed, failed, stopped, waits) VALUES (?, ?, ?, ?, ?)",
				minuteOf(m.At), m.Completed, m.Failed, m.Stopped, appendWaits([]byte{}, &m.Waits))
			if err != nil {
				return err
			}
		}
		_, err := x.conn.exec("DELETE FROM stats WHERE at < ?", minuteOf(since))
		return err
	}})
}

func appendWaits(b []byte, w *store.Waits) []byte {
	last := len(w)
	for last > 0 && w[last-1] == 0 {
		last--
	}
	for _, n := range w[:last] {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func readWaits(b []byte) (w store.Waits, err error) {
	for i := 0; len(b) > 0; i++ {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > math.MaxUint32 || i == len(w) {
			return w, errors.New("a minute's waiting times are damaged")
		}
		w[i], b = uint32(n), b[size:]
	}
	return w, nil
}
