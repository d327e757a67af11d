package queuemgr

import (
	"errors"
	"os/user"
	"testing"
)

// TestUserNames wants a user who is gone told apart from one who can't be looked up now.
func TestUserNames(t *testing.T) {
	failure := errors.New("too many open files")
	var answer error
	asked := 0
	names := userNames(func(number string) (*user.User, error) {
		asked++
		return &user.User{Username: "user" + number}, answer
	})
	want := func(uid uint32, name string, err error) {
		t.Helper()
		if got, gotErr := names(uid); got != name || !errors.Is(gotErr, err) {
			t.Errorf("user %d: %q %v, want %q %v", uid, got, gotErr, name, err)
		}
	}
	answer = failure
	want(0, "", failure)
	want(1001, "", failure)
	answer = user.UnknownUserIdError(1001)
	want(1001, "1001", nil)
	want(0, "0", nil)
	answer = nil
	want(0, "user0", nil) // what failed is not remembered
	want(1001, "user1001", nil)
	before := asked
	answer = failure
	want(0, "user0", nil)
	want(1001, "", failure)
	if asked != before+1 {
		t.Errorf("%d were looked up, want only who is not root", asked-before)
	}
}
