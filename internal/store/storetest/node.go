package storetest

import (
	"testing"

	"github.com/queuemgr/queuemgr/internal/store"
)

func testNode(t *testing.T, open func(*testing.T) store.Store) {
	s, other := open(t), open(t)
	if s.RegistryID() == "" || s.RegistryID() == other.RegistryID() {
		t.Errorf("registries have the identities %q and %q", s.RegistryID(), other.RegistryID())
	}
	last := uint64(0)
	for _, above := range []uint64{0, 0, 40, 3} {
		epoch, err := s.NextEpoch(t.Context(), above)
		if err != nil {
			t.Fatal(err)
		}
		if epoch <= last || epoch <= above {
			t.Errorf("after the epoch %d and above %d comes %d", last, above, epoch)
		}
		last = epoch
	}
	if c, err := s.Cursor(t.Context()); err != nil || c != (store.Cursor{}) {
		t.Errorf("the cursor of an empty registry is %v, %v", c, err)
	}
}
