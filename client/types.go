package client

import (
	"context"
	"fmt"

	"github.com/queuemgr/queuemgr/job"
)

// Types implements job.Service.
func (c *Client) Types(ctx context.Context) ([]job.Type, error) {
	var list struct {
		Types []job.Type `json:"types"`
	}
	if err := c.get(ctx, c.o.Patience, "/api/types", &list); err != nil {
		return nil, err
	}
	return list.Types, nil
}

// Type implements job.Service.
func (c *Client) Type(ctx context.Context, name string) (*job.Type, error) {
	if err := job.CheckTypeName(name); err != nil { // in a path it could mean something else
		return nil, &job.Error{Code: job.NotFound, Field: "type", Message: fmt.Sprintf("no type is called %q", name), Hint: "queuemgr type list shows all", Err: err}
	}
	t := new(job.Type)
	if err := c.get(ctx, c.o.Patience, "/api/types/"+name, t); err != nil {
		return nil, err
	}
	return t, nil
}
