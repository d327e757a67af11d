package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	modernc "modernc.org/sqlite"
)

// conn is the writer's connection. It talks to the driver directly: the writer is one goroutine
// with prepared statements, and database/sql's locking and conversions would cost it a third of
// its time.
type conn struct {
	c     driver.Conn
	stmts map[string]*stmt
	args  []driver.NamedValue // reused by each call
}

type stmt struct {
	driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
}

func openConn(ctx context.Context, dsn string) (*conn, error) {
	connector, err := modernc.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, stmts: map[string]*stmt{}}, nil
}

func (c *conn) prepare(query string) (*stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	p, err := c.c.Prepare(query)
	if err != nil {
		return nil, err
	}
	s := &stmt{Stmt: p}
	var ok bool
	if s.exec, ok = p.(driver.StmtExecContext); ok {
		s.query, ok = p.(driver.StmtQueryContext)
	}
	if !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver's %T has no context methods", p), p.Close())
	}
	c.stmts[query] = s
	return s, nil
}

func (c *conn) bind(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return c.args
}

// exec runs a statement, kept prepared, and returns how many rows it changed. Arguments are int64,
// string, []byte, bool or nil.
func (c *conn) exec(query string, args ...driver.Value) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := s.exec.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// query calls row for each row of a query with columns columns; the slice is only valid in the call.
func (c *conn) query(query string, columns int, row func([]driver.Value) error, args ...driver.Value) (err error) {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.query.QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, columns)
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := row(values); err != nil {
			return err
		}
	}
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.c.Close())...)
}
