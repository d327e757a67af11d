package systemd_test

import (
	"context"
	"testing"
	"time"

	"github.com/queuemgr/queuemgr/internal/systemd"
)

// TestExecute: a child that holds the output of a program which has ended holds nobody.
func TestExecute(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := systemd.Execute(ctx, "sh", "-c", "sleep 300 & echo $!")
	if err != nil || out == "" || ctx.Err() != nil {
		t.Errorf("got %q, %v, %v", out, err, ctx.Err())
	}
	if _, err := systemd.Execute(ctx, "kill", "--", out[:len(out)-1]); err != nil {
		t.Errorf("the child: %v", err)
	}
	if _, err := systemd.Execute(ctx, "sh", "-c", "exit 3"); err == nil {
		t.Error("a program that fails has not")
	}
}
